"""The report page: everything that is known of a profile in one file that a browser opens."""

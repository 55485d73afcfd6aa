"""The panels of the page: each shows a part of a result and changes a part of the query."""

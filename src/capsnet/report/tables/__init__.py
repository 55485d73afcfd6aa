"""Tables as text, for terminals and Markdown files."""

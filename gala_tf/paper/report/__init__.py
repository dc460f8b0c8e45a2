"""The report page: runs -> lines, tests, tables, figures -> Markdown and HTML."""

"""A study's Report -> one page, the same as Markdown, all digits as JSON, and the learning curves as pictures."""

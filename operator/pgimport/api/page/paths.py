"""Where the page is, and what its forms send."""

PREFIX = "/ui"
FORM_TYPE = "application/x-www-form-urlencoded"

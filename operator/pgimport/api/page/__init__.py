"""The web page: imports, previews and schedules in a browser, rendered on the server."""

"""Commands that show and change imports, previews, schedules and Projects of a cluster. They call kubectl."""

"""The engines side by side: databases made by script come in; how long each way of copying takes, and at what cost,
goes out."""

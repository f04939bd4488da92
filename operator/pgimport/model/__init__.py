"""Defines the resources, the messages between parts of the system, names, reasons and errors. Pure."""

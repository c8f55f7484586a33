"""The duty board and the HTTP API: what people see and what they do. A shell: it decides nothing about alerts."""

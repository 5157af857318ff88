"""The HTTP service: application, admission, queue, workers and the page. Only `cli` imports it."""

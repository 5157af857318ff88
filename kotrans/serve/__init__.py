"""The HTTP service: application, middleware, admission, queue, workers and the page. Only `cli` imports it."""

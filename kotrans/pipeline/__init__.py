"""One function for each stage, wiring the rows below together; it returns what came out and prints nothing."""

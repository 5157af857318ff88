"""The file formats that parallel text comes in."""

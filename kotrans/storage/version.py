"""The version of kotrans, read by the package, by the build and by all that records it."""

VERSION = "0.1.0"

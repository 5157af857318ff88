"""Back-propagation through time (Werbos 1990) written by hand: the decoder's steps without a graph."""

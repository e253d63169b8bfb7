//! LAN datagram codecs.

"""What the cases share: a gateway to test, and one client of each protocol behind one small interface."""

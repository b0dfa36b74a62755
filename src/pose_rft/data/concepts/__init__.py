"""What people call poses: the bank of concepts, the language they are written in, and poses made from it."""

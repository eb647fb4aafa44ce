"""The parts of `config`: the keys there are, how each is read, and the texts made from them."""

"""Several runs made so that they can be compared: `order.py` says which, one after the other, `make.py` makes them."""

"""The simulator: sessions in virtual time, with a model of Linux's TCP at both ends."""

"""Model packs: what there is, how it gets onto this computer, and how it is read without trusting it."""

"""The servers that inferd is measured against; each is a program of its own."""

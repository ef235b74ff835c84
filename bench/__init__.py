"""The benchmark: inferd beside the fastest Python server we can write and beside FastAPI apps."""

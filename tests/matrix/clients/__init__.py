"""One client for each dialect: writes a request as its SDK does, reads answers as strictly as its SDK does."""

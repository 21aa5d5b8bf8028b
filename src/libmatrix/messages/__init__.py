"""What messages are made of, and how those that were are found."""

"""What is known of rooms, and how they are made, entered, ruled and left."""

"""What several tests share: live parts, prototype sets."""

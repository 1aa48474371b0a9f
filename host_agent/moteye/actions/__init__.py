"""What an alert sets off."""

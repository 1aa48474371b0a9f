"""Phrases to vectors."""

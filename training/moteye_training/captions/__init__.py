"""The captioner: a decoder that says in words what the detection encoder's last map shows."""

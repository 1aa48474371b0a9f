"""Pictures for devices without a camera: sources, the pull server, simulated devices."""

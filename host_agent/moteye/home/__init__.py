"""Home Assistant by MQTT discovery: what it is told, and what it may ask for."""

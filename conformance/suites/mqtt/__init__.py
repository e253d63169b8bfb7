"""MQTT clients' own test suites, unmodified, and what the Paho interoperability suite asks for, as cases of ours."""

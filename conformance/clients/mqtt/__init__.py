"""MQTT client libraries. Each program takes the port and prints `ok <case>` for each of the cases, in order.

| case | what is seen |
| --- | --- |
| connect | CONNACK of success |
| qos0, qos1, qos2 | a message at each QoS comes back at that QoS |
| retained | a later subscriber gets the value, with RETAIN |
| will | a connection that is lost publishes its will |
| resume | a session gets what was published while its client was away |
| shared | two members of a group get each message once |
| request_response | the response topic carries the answer |
"""

CASES = ["connect", "qos0", "qos1", "qos2", "retained", "will", "resume", "shared", "request_response"]

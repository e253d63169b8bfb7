"""LCM's own library."""

import datagrams
import lcm

hearing = lcm.LCM("udpm://{}:{}?ttl=1".format(*datagrams.HEAR))
saying = lcm.LCM("udpm://{}:{}?ttl=1".format(*datagrams.SAY))
subscription = hearing.subscribe(".*", datagrams.heard)
subscription.set_queue_capacity(1000)
datagrams.on_order(saying.publish)
print("ready", flush=True)
while True:
    hearing.handle()

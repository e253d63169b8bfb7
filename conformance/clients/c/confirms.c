/* librabbitmq: publishes a hundred persistent messages and waits until each is confirmed. */
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

enum { MESSAGES = 100, CHANNEL = 1 };

static void check(int is_good, const char *what) {
  if (!is_good) {
    fprintf(stderr, "%s\n", what);
    exit(1);
  }
}

static void answered(amqp_connection_state_t connection, const char *what) {
  check(amqp_get_rpc_reply(connection).reply_type == AMQP_RESPONSE_NORMAL, what);
}

int main(int count, char **words) {
  check(count == 2, "which port?");
  amqp_connection_state_t connection = amqp_new_connection();
  amqp_socket_t *socket = amqp_tcp_socket_new(connection);
  check(amqp_socket_open(socket, "127.0.0.1", atoi(words[1])) == 0, "no connection");
  amqp_rpc_reply_t reply = amqp_login(connection, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest");
  check(reply.reply_type == AMQP_RESPONSE_NORMAL, "login");
  amqp_channel_open(connection, CHANNEL);
  answered(connection, "channel.open");
  amqp_bytes_t queue = amqp_queue_declare(connection, CHANNEL, amqp_cstring_bytes("clients.c"), 0, 1, 0, 0,
                                          amqp_empty_table)->queue;
  answered(connection, "queue.declare");
  amqp_confirm_select(connection, CHANNEL);
  answered(connection, "confirm.select");
  amqp_basic_properties_t persistent = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = 2};
  for (int number = 0; number < MESSAGES; number++) {
    int sent = amqp_basic_publish(connection, CHANNEL, amqp_empty_bytes, queue, 0, 0, &persistent,
                                  amqp_cstring_bytes("body"));
    check(sent == AMQP_STATUS_OK, "basic.publish");
  }
  uint64_t confirmed = 0;
  while (confirmed < MESSAGES) {
    amqp_frame_t frame;
    struct timeval patience = {.tv_sec = 10};
    check(amqp_simple_wait_frame_noblock(connection, &frame, &patience) == AMQP_STATUS_OK, "no confirm");
    check(frame.frame_type == AMQP_FRAME_METHOD && frame.payload.method.id == AMQP_BASIC_ACK_METHOD, "another frame");
    amqp_basic_ack_t *ack = frame.payload.method.decoded;
    check(ack->delivery_tag == confirmed + 1 || (ack->multiple && ack->delivery_tag > confirmed), "another tag");
    confirmed = ack->delivery_tag;
  }
  printf("confirmed %llu\n", (unsigned long long)confirmed);
  amqp_queue_delete(connection, CHANNEL, amqp_cstring_bytes("clients.c"), 0, 0);
  answered(connection, "queue.delete");
  amqp_connection_close(connection, AMQP_REPLY_SUCCESS);
  amqp_destroy_connection(connection);
  return 0;
}

// amqp091-go: publishes with confirms, consumes with a prefetch, asks and answers, lets a message die. One line for each.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	messages = 100
	queue    = "clients.go"
)

func main() {
	connection, err := amqp.Dial("amqp://guest:guest@127.0.0.1:" + os.Args[1] + "/")
	check(err)
	defer connection.Close()
	within, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	channel, err := connection.Channel()
	check(err)
	publish(within, channel)
	consume(channel)
	call(within, connection)
	die(within, channel)
}

func publish(within context.Context, channel *amqp.Channel) {
	_, err := channel.QueueDeclare(queue, true, false, false, false, nil)
	check(err)
	check(channel.Confirm(false))
	var confirms []*amqp.DeferredConfirmation
	for number := 0; number < messages; number++ {
		message := amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(strconv.Itoa(number))}
		confirm, err := channel.PublishWithDeferredConfirmWithContext(within, "", queue, false, false, message)
		check(err)
		confirms = append(confirms, confirm)
	}
	for _, confirm := range confirms {
		if !confirm.Wait() {
			log.Fatal("a publish was refused")
		}
	}
	fmt.Println("confirmed", messages)
}

func consume(channel *amqp.Channel) {
	check(channel.Qos(10, 0, false))
	deliveries, err := channel.Consume(queue, "reader", false, false, false, false, nil)
	check(err)
	for number := 0; number < messages; number++ {
		delivery := <-deliveries
		if string(delivery.Body) != strconv.Itoa(number) {
			log.Fatalf("%s at %d", delivery.Body, number)
		}
		check(delivery.Ack(false))
	}
	check(channel.Cancel("reader", false))
	_, err = channel.QueueDelete(queue, false, false, false)
	check(err)
	fmt.Println("consumed", messages)
}

func call(within context.Context, connection *amqp.Connection) {
	server, err := connection.Channel()
	check(err)
	requests, err := server.QueueDeclare("", false, false, true, false, nil)
	check(err)
	incoming, err := server.Consume(requests.Name, "", true, false, false, false, nil)
	check(err)
	client, err := connection.Channel()
	check(err)
	answers, err := client.Consume("amq.rabbitmq.reply-to", "", true, false, false, false, nil)
	check(err)
	asking := amqp.Publishing{ReplyTo: "amq.rabbitmq.reply-to", CorrelationId: "1", Body: []byte("41")}
	check(client.PublishWithContext(within, "", requests.Name, false, false, asking))
	request := <-incoming
	number, err := strconv.Atoi(string(request.Body))
	check(err)
	answer := amqp.Publishing{CorrelationId: request.CorrelationId, Body: []byte(strconv.Itoa(number + 1))}
	check(server.PublishWithContext(within, "", request.ReplyTo, false, false, answer))
	fmt.Printf("answered %s\n", (<-answers).Body)
}

func die(within context.Context, channel *amqp.Channel) {
	graves, err := channel.QueueDeclare("", false, false, true, false, nil)
	check(err)
	arguments := amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": graves.Name}
	work, err := channel.QueueDeclare("", false, false, true, false, arguments)
	check(err)
	dead, err := channel.Consume(graves.Name, "", true, false, false, false, nil)
	check(err)
	doomed, err := channel.Consume(work.Name, "", false, false, false, false, nil)
	check(err)
	check(channel.PublishWithContext(within, "", work.Name, false, false, amqp.Publishing{Body: []byte("bad")}))
	check((<-doomed).Reject(false))
	fmt.Println("died", (<-dead).Headers["x-first-death-reason"])
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

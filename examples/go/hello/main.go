package main

import (
	"errors"
	"fmt"
	"log"

	"datablock"
)

func main() {
	consumer, err := datablock.OpenConsumer("hello", datablock.ConsumerOptions{Start: datablock.StartOldest})
	if err != nil {
		log.Fatal(err)
	}
	for message, err := range consumer.Messages(datablock.Forever) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("message %d: %s\n", message.ID, message.Data)
	}
	fmt.Println("end: closed")
	if err := errors.Join(consumer.Close(), datablock.Unlink("hello", "", 0)); err != nil {
		log.Fatal(err)
	}
}

package main

import (
	"fmt"
	"log"

	"datablock"
)

func main() {
	consumer, err := datablock.OpenConsumer("hello", datablock.ConsumerOptions{Start: datablock.StartOldest})
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	for message, err := range consumer.Messages(datablock.Forever) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("message %d: %s\n", message.ID(), message.Data())
	}
}

// openai_go - OpenAI's client for Go against a running server, CLIENTS_URL.  Run by run.py.
package main

import (
	"context"
	"errors"
	"io"
	"log"
	"os"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

func main() {
	ctx := context.Background()
	client := openai.NewClient(option.WithBaseURL(os.Getenv("CLIENTS_URL")+"/v1"), option.WithAPIKey("any"), option.WithMaxRetries(0))
	ask := openai.AudioSpeechNewParams{Model: openai.SpeechModelTTS1, Input: "Hello there.", ResponseFormat: "wav"}
	ask.Voice.OfString = openai.String("alloy")
	response, err := client.Audio.Speech.New(ctx, ask)
	if err != nil {
		log.Fatal(err)
	}
	sound, err := io.ReadAll(response.Body)
	if err != nil || len(sound) < 10000 || string(sound[:4]) != "RIFF" {
		log.Fatalf("%d bytes, %v", len(sound), err)
	}
	ask.Speed = openai.Float(9)
	_, err = client.Audio.Speech.New(ctx, ask)
	var refused *openai.Error
	if !errors.As(err, &refused) || refused.StatusCode != 400 || refused.Param != "speed" {
		log.Fatalf("a wrong speed: %v", err)
	}
	models, err := client.Models.List(ctx)
	if err != nil || len(models.Data) == 0 {
		log.Fatalf("models: %v", err)
	}
}

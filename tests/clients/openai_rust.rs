//! openai_rust - async-openai against a running server, CLIENTS_URL.  Run by run.py.
use async_openai::{Client, config::OpenAIConfig, types::audio::*};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let base = std::env::var("CLIENTS_URL").unwrap() + "/v1";
    let client = Client::with_config(OpenAIConfig::new().with_api_base(base).with_api_key("any"));
    let ask = CreateSpeechRequestArgs::default()
        .model(SpeechModel::Tts1)
        .voice(Voice::Alloy)
        .input("Hello there.")
        .response_format(SpeechResponseFormat::Wav)
        .build()
        .unwrap();
    let sound = client.audio().speech().create(ask).await.unwrap().bytes;
    assert!(sound.len() > 10000 && &sound[..4] == b"RIFF", "{} bytes", sound.len());
    assert!(!client.models().list().await.unwrap().data.is_empty());
}

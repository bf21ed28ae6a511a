/* OpenaiJava - OpenAI's client for Java against a running server, CLIENTS_URL.  Run by run.py. */
import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.http.HttpResponse;
import com.openai.errors.BadRequestException;
import com.openai.models.audio.speech.SpeechCreateParams;
import com.openai.models.audio.speech.SpeechModel;

public class OpenaiJava {
    static void check(boolean good, String what) {
        if (!good)
            throw new AssertionError(what);
    }

    public static void main(String[] arguments) throws Exception {
        OpenAIClient client = OpenAIOkHttpClient.builder().baseUrl(System.getenv("CLIENTS_URL") + "/v1").apiKey("any").maxRetries(0).build();
        SpeechCreateParams ask = SpeechCreateParams.builder().model(SpeechModel.TTS_1).voice("alloy").input("Hello there.")
                .responseFormat(SpeechCreateParams.ResponseFormat.WAV).build();
        try (HttpResponse response = client.audio().speech().create(ask)) {
            byte[] sound = response.body().readAllBytes();
            check(sound.length > 10000 && sound[0] == 'R', sound.length + " bytes");
        }
        try {
            client.audio().speech().create(ask.toBuilder().speed(9.0).build());
            check(false, "a wrong speed is not refused");
        } catch (BadRequestException e) {
            check(e.param().orElse("").equals("speed"), e.toString());
        }
        check(!client.models().list().data().isEmpty(), "no models");
        client.close();
    }
}

/* limits.h - every maximum of the project that is not a property of a model.
 *
 * Over a limit means a clear error that names it; nothing is clamped or cut silently. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#define LIMIT_TEXT_BYTES        (4 << 20)  /* one request's text, UTF-8 */
#define LIMIT_NORMALIZED_BYTES  (64 << 20) /* that text with its numbers written out */
#define LIMIT_PIECES            65536      /* sentences in one request */
#define LIMIT_VOICE_NAME_BYTES  128
#define LIMIT_VOICE_TEXT_BYTES  4096       /* transcript of one reference */
#define LIMIT_VOICE_ABOUT_BYTES 400        /* a language, a description */
#define LIMIT_REFERENCE_SECONDS 90         /* one reference clip */
#define LIMIT_REFERENCES        8          /* clips of one voice */
#define LIMIT_CONTEXT_SENTENCES 8          /* of a text, that the next one hears */
#define LIMIT_RECORDING_BYTES   (10 << 20) /* a sound file uploaded as a voice or consent */
#define LIMIT_STORED            10000      /* voices, and consents, in one store */
#define LIMIT_AUDIO_SECONDS     7200       /* sound read from one file */
#define LIMIT_SLOTS             64         /* sequences decoded together */
#define LIMIT_BACKGROUND        64         /* requests in the background open in a model */
#define LIMIT_ENCODING          16         /* recordings that wait to become codes, per model */
#define LIMIT_MODELS            64         /* opened by one engine */
#define LIMIT_JSON_BYTES        (64 << 20) /* config, special tokens, voice files */
#define LIMIT_YAML_BYTES        (1 << 20)  /* the codec's configuration */
#define LIMIT_HEADER_BYTES      (64 << 20) /* metadata part of gguf, safetensors, pickle */
#define LIMIT_TENSORS           65536      /* in one file */
#define LIMIT_VOCAB             4194304    /* tokens */
#define LIMIT_DIM               65536      /* any model dimension */
#define LIMIT_HEAD_DIM          1024 /* of an attention head: tables of positions grow by it */
#define LIMIT_LAYERS            1024
#define LIMIT_CODEBOOKS         64

#endif

/* The commands and their options.  What is said of an option stands here and nowhere else. */
#include <stddef.h>
#include <string.h>

#include "cli/options.h"

const struct command cli_commands[] = {
    {SAY, "say", "speak a text to a file, to standard output or to the loudspeaker", "[TEXT]",
     "Speak TEXT (or a file, or standard input) and write the sound to a file, by default "
     "speech.wav. With - as TEXT, standard input is spoken while it is being written: each "
     "sentence "
     "when the next begins, or after a pause.",
     "jabbertts say \"Hello there.\" -o hello.wav\n"
     "jabbertts say -i chapter.txt --voice bella --speed 1.1 -o chapter.mp3\n"
     "echo \"From standard input.\" | jabbertts say --play\n"
     "ollama run llama3 \"Tell me a story.\" | jabbertts say - --play\n"
     "jabbertts say \"Guten Morgen.\" --model espeak-ng --voice de\n",
     0, 1, cmd_say, NULL, 0},
    {BATCH, "batch", "speak many texts to a directory of sounds", "INPUT",
     "INPUT is a file of JSON lines ({\"id\", \"text\", and fields of a speech request}, or the "
     "lines "
     "of an OpenAI batch), a .csv file whose first line names such fields, or a directory of .txt "
     "and .md files. Each becomes DIRECTORY/ID.FORMAT. The same command goes on where it was "
     "ended, by Ctrl-C, kill -9 or power; what was made is not made again, and files that are not "
     "its own are never written over. What failed is in DIRECTORY/failed.jsonl.",
     "jabbertts batch lines.jsonl -o sounds --format mp3\n"
     "jabbertts batch lines.csv -o sounds --voice bella --jobs 8\n"
     "jabbertts batch chapters/ -o chapters/sounds --format flac\n",
     1, 1, cmd_batch, NULL, 0},
    {BOOK, "book", "speak a book to one file with chapters", "BOOK",
     "BOOK is an EPUB, HTML, Markdown or text file. It becomes an M4B or MP3 with chapters, cover "
     "and tags, and an .srt file of its sentences beside it. Chapters are those of the table of "
     "contents, or headings of the first two levels. The same command goes on where it was ended: "
     "chapters that are made wait in FILE.parts until the book is whole.",
     "jabbertts book moby-dick.epub -o moby-dick.m4b\n"
     "jabbertts book play.md -o play.mp3 --cast cast.txt --voice amy\n",
     1, 1, cmd_book, NULL, 0},
    {SERVE, "serve", "serve the OpenAI speech API over HTTP", "",
     "Serve the OpenAI speech API over HTTP until SIGINT or SIGTERM: requests that run then may "
     "end, a second signal ends them too.",
     "jabbertts serve\n"
     "jabbertts serve --host 0.0.0.0 --api-keys-file /etc/jabbertts/keys\n"
     "jabbertts serve --model s1-mini.gguf --slots 8\n"
     "jabbertts serve --background && curl http://localhost:8000/health\n",
     0, 0, cmd_serve, NULL, 0},
    {MCP, "mcp", "be a Model Context Protocol server: a tool that speaks", "",
     "Answer the Model Context Protocol on standard input and output, so that an assistant can "
     "speak: the tool speak says a text aloud, or gives back the sound; list_voices names the "
     "voices. The assistant's program starts it.",
     "claude mcp add jabbertts -- jabbertts mcp\n"
     "jabbertts mcp --voice bella\n",
     0, 0, cmd_mcp, NULL, 0},
    {TEXT, "text", "show what becomes of a text before it is spoken", "[TEXT]",
     "Show what becomes of TEXT (or a file, or standard input) before it is spoken, stage by "
     "stage.",
     "jabbertts text \"It costs $3.50.\"\n"
     "jabbertts text --stage sentences -i README.md\n",
     0, 1, cmd_text, NULL, 0},
    {VOICES, "voices", "list voices; add, show, delete, export and import your own", "",
     "NAME may be an id. A recording holds 1 to 90 seconds of speech, in any common format. The "
     "built-in model imitates it partly: a likeness, not a copy.",
     "jabbertts voices\n"
     "jabbertts voices add me recording.mp3 --text \"What is said in it.\"\n"
     "jabbertts voices export me me.json\n"
     "jabbertts voices --model espeak-ng\n",
     0, 0, NULL, voices_verbs, 0},
    {PULL, "pull", "get a model from the hub: download, check, convert, install", "SOURCE",
     "SOURCE is a name we know (s1-mini), OWNER/NAME of a repository on the Hugging Face hub (also "
     "hf://OWNER/NAME, both with @REVISION and /FILE.gguf as wanted), the address or path of a "
     "GGUF, or a checkpoint directory. What was downloaded stays when a pull ends early: the same "
     "command goes on from there. HF_TOKEN and the other variables of the hub's own client are "
     "read, as are https_proxy and SSL_CERT_FILE; a cache of that client is used.",
     "jabbertts pull s1-mini\n"
     "jabbertts pull s1-mini --type q8 --name s1-q8\n"
     "jabbertts pull hf://owner/name@v1.0 --accept-licence\n",
     1, 1, cmd_pull, NULL, 0},
    {MODELS, "models", "list installed models; show, use, verify, remove, update", "",
     "What jabbertts pull has installed. --model NAME speaks with it.",
     "jabbertts models\n"
     "jabbertts models show s1-mini\n"
     "jabbertts models use s1-mini\n"
     "jabbertts models update s1-mini\n",
     0, 0, NULL, models_verbs, 0},
    {DOCTOR, "doctor", "look for what would keep it from working here", "",
     "Look at the processor, memory, disk, installed models, sound formats, directories and the "
     "port; each finding comes with its cure. Exit code 1 if something will not work.",
     "jabbertts doctor\n"
     "jabbertts doctor --json\n",
     0, 0, cmd_doctor, NULL, 0},
    {CONVERT, "convert", "turn a checkpoint directory into one model file", "[DIR]",
     "Turn a checkpoint directory (config.json, model.pth, codec.pth, tokenizer.tiktoken, "
     "special_tokens.json, and perhaps modded_dac_vq.yaml and voices/*.json) into one model file.",
     "jabbertts convert openaudio-s1-mini -o s1-mini.gguf --type q8_0\n"
     "jabbertts convert --random s1-mini -o random.gguf\n",
     0, 1, cmd_convert, NULL, 0},
    {INSPECT, "inspect", "show what is in a model file, and what it costs to run", "FILE",
     "Show a model file's metadata and tensors, and what it costs to run.",
     "jabbertts inspect s1-mini.gguf\n"
     "jabbertts inspect s1-mini.gguf --context 2048 --json\n",
     1, 1, cmd_inspect, NULL, 0},
    {QUANTIZE, "quantize", "make a model file smaller and faster", "IN.gguf OUT.gguf",
     "Make a model file smaller, and faster where its speed is that of memory.",
     "jabbertts quantize s1-mini.gguf s1-mini-q8.gguf --type q8\n"
     "jabbertts quantize s1-mini.gguf small.gguf --type mixed --imatrix s1-mini.imatrix\n",
     2, 2, cmd_quantize, NULL, 0},
    {EXPORT, "export", "write a model as ONNX graphs, for other runtimes", "MODEL.gguf",
     "Write the graphs that MODEL is made of in ONNX (opset 17), with weights beside them and what "
     "else the model consists of: docs/ONNX.md describes the folder.",
     "jabbertts export s1-mini.gguf --onnx s1-mini-onnx --check\n", 1, 1, cmd_export, NULL, 0},
    {PRUNE, "prune", "take what matters least out of a model's layers", "IN.gguf OUT.gguf",
     "Take those parts out of a model that matter least, by what its matrices are given while it "
     "speaks, and repair what stays by least squares. The file is smaller and every step does "
     "less, but for --part weights and 2:4. What was lost is measured on sentences that nothing "
     "was learned from; over --limit nothing is written. Quantize afterwards: quantized input "
     "works, but is rounded twice.",
     "jabbertts prune s1-mini.gguf s1-mini-90.gguf --keep 0.9\n", 2, 2, cmd_prune, NULL, 0},
    {CALIBRATE, "calibrate", "find out which inputs of a model matter, for quantize", "[MODEL]",
     "Speak a text with MODEL and write how large the inputs of each matrix are, for jabbertts "
     "quantize --imatrix. The file is laid out as llama.cpp's imatrix files.",
     "jabbertts calibrate s1-mini.gguf -o s1-mini.imatrix\n"
     "jabbertts calibrate s1-mini.gguf --alignment -o s1-mini-words.gguf\n",
     0, 1, cmd_calibrate, NULL, 0},
    {EVAL, "eval", "compare a quantized model with its original", "QUANTIZED",
     "Compare a quantized model, or an exported folder, with its original: divergence and first "
     "choices of both transformers along the original's own sentences, and the sound of both "
     "codecs for the same codes.",
     "jabbertts eval s1-mini-q8.gguf --reference s1-mini.gguf\n", 1, 1, cmd_eval, NULL, 0},
    {BENCH, "bench", "measure a model's speed and memory on this machine", "[MODEL]",
     "Measure a model on this machine: load time, prompt speed, time per frame of both "
     "transformers for 1, 4 and 8 sequences at once and at two context lengths, codec and total "
     "real-time factor (compute time / audio time), time to first audio (without a reference, "
     "with 10 s of one, with one that is known), memory of one sequence with its context filled; "
     "then whole requests: one, one of four sentences, 4 and 8 at once. Best and median of several "
     "runs.",
     "jabbertts bench\n"
     "jabbertts bench s1-mini.gguf --threads 4 --json\n",
     0, 1, cmd_bench, NULL, 0},
    {CONFIG, "config", "show every option's value and where it comes from", "",
     "Options can stand in a configuration file, jabbertts.conf, and in the environment.",
     "jabbertts config show > jabbertts.conf\n"
     "JABBERTTS_PORT=9000 jabbertts config show\n",
     0, 0, NULL, config_verbs, 0},
    {COMPLETION, "completion", "print what a shell needs to complete our words", "",
     "Print a script that completes commands, options and their values.",
     "source <(jabbertts completion bash)\n"
     "jabbertts completion zsh > ~/.zfunc/_jabbertts\n"
     "jabbertts completion fish > ~/.config/fish/completions/jabbertts.fish\n",
     0, 0, NULL, completion_verbs, 1},
    {VERSION, "version", "print the version", "", "Print the version.", "jabbertts version\n", 0, 0,
     cmd_version, NULL, 1},
    {0},
};

static const char *const log_words[] = {"text", "json", "none", NULL};
static const char *const cache_words[] = {"f32", "f16", "q8_0", NULL};
static const char *const engine_words[] = {"own", "onnx", NULL};
static const char *const provider_words[] = {"cpu", "dnnl", "openvino", NULL};
static const char *const isa_words[] = {"ref", "avx2", "avxvnni", "avx512",
                                        "amx", "neon", "i8mm",    NULL};
static const char *const format_words[] = {"wav", "mp3", "opus", "aac", "m4a", "flac", "pcm", NULL};
static const char *const stage_words[] = {"clean",  "normalized", "sentences", "phonemes",
                                          "tokens", "prompt",     "explained", NULL};
static const char *const convert_words[] = {"f32", "f16", "bf16", "q8_0", "q4_0", NULL};
static const char *const quantize_words[] = {"q8", "q4", "mixed", NULL};
static const char *const prune_words[] = {"feed-forward", "heads", "layers", "codec",
                                          "weights",      "2:4",   NULL};
static const char *const export_words[] = {"f32", "f16", "int8", NULL};
static const char *const switch_words[] = {"off", "on", NULL};
static const char *const pull_words[] = {"mixed", "q8", "q4", "f16", NULL};
static const char *const random_words[] = {"s1-mini", NULL};

#define AT(field)     .offset = offsetof(struct options, field)
#define IN(low, high) .min = low, .max = high
/* What a file and the environment may say, and what only a call's own words may. */
#define SETTING(set) .commands = (set) | CONFIG
#define OF_CALL(set) .commands = (set), .flag_only = true

/* clang-format off */
const struct option_row option_rows[] = {
    {.section = "Text and sound",
     .name = "output", .letter = 'o', OF_CALL(SAY), .type = STRING, AT(output),
     .placeholder = "FILE",
     .help = "the sound; its ending says the format, - is standard output (default: speech.wav, or "
             "the file that standard output goes to)"},
    {.name = "output", .letter = 'o', OF_CALL(BATCH), .type = STRING, AT(output),
     .placeholder = "DIR", .help = "where the sounds go"},
    {.name = "output", .letter = 'o', OF_CALL(BOOK), .type = STRING, AT(output),
     .placeholder = "FILE", .help = "the book, .m4b or .mp3"},
    {.name = "cast", OF_CALL(BOOK), .type = STRING, AT(cast), .placeholder = "FILE",
     .help = "lines NAME = VOICE: who says the paragraphs that begin with NAME:"},
    {.name = "force", OF_CALL(BOOK), .type = BOOLEAN, AT(force),
     .help = "write over a file that is there"},
    {.name = "jobs", OF_CALL(BATCH), .type = INTEGER, AT(jobs), IN(1, 63), .preset = "8",
     .placeholder = "N", .help = "texts spoken together"},
    {.name = "format", .letter = 'f', OF_CALL(SAY | BATCH), .type = WORD, AT(format),
     .words = format_words, .placeholder = "NAME",
     .help = "of the sound, whatever the file's name (default: by its ending, else wav)"},
    {.name = "input", .letter = 'i', OF_CALL(SAY | TEXT), .type = STRING, AT(input),
     .placeholder = "FILE", .help = "read the text from FILE; - is standard input"},
    {.name = "play", OF_CALL(SAY), .type = BOOLEAN, AT(play), .help = "play it while it is made"},
    {.name = "captions", OF_CALL(SAY), .type = STRING, AT(captions), .placeholder = "FILE",
     .help = "write when each word is heard; the ending chooses: .srt, .vtt or .json"},
    {.name = "ssml", OF_CALL(SAY), .type = BOOLEAN, AT(ssml),
     .help = "the text is SSML (default: if it starts with <speak)"},
    {.name = "stage", OF_CALL(TEXT), .type = WORD, AT(stage), .words = stage_words,
     .placeholder = "NAME",
     .help = "only this stage, in plain lines; prompt: the token ids that the model is given for "
             "each piece; explained: which rule reads what (default: all but these, with "
             "headings)"},
    {.name = "explain", OF_CALL(TEXT), .type = BOOLEAN, AT(explain),
     .help = "the same as --stage explained"},
    {.name = "check", OF_CALL(TEXT), .type = STRING, AT(check), .placeholder = "FILE",
     .help = "run the tests in FILE, which holds the rules of a language, and read no text"},
    {.name = "emoji", OF_CALL(TEXT), .type = BOOLEAN, AT(emoji),
     .help = "say what emoji show (default: they are dropped)"},
    {.name = "normalize", SETTING(SAY | BATCH | BOOK | TEXT), .type = CHOICE, AT(request.normalize),
     .words = switch_words, .preset = "on", .placeholder = "ON",
     .help = "off: the model gets the text as it is written, with Markdown and figures"},
    {.name = "carry_markers", SETTING(SAY | BATCH | BOOK | TEXT), .type = CHOICE,
     AT(request.carry_markers),
     .words = switch_words, .preset = "on", .placeholder = "ON",
     .help = "off: an emotion like (sad) leads its own sentence only, not its paragraph"},
    {.name = "instructions", OF_CALL(SAY | TEXT), .type = STRING, AT(request.instructions),
     .placeholder = "TEXT",
     .help = "how to speak; an emotion it names becomes a marker (S1 models)"},

    {.section = "Voice",
     .name = "voice", SETTING(SAY | BATCH | BOOK | MCP),
     .type = STRING, AT(request.voice), .placeholder = "NAME",
     .help = "a voice (jabbertts voices), or a sound file to imitate, or a folder of some "
             "(default: the model's)"},
    {.name = "voice", OF_CALL(TEXT), .type = STRING, AT(request.voice), .placeholder = "NAME",
     .help = "whose reference a prompt begins with (default: none)"},
    {.name = "reference", OF_CALL(SAY | VOICES), .type = LIST, AT(clips), .placeholder = "FILE",
     .help = "a further recording of the same speaker, or a folder of some; may be repeated, 8 in "
             "all"},
    {.name = "voice_text", OF_CALL(SAY), .type = LIST, AT(clip_texts), .placeholder = "TEXT",
     .help = "what is said in that sound file; repeated: in each recording, in their order "
             "(default: what is in the file beside it with the ending .lab or .txt)"},
    {.name = "language", SETTING(SAY | BATCH | BOOK | TEXT | MCP),
     .type = STRING, AT(request.language),
     .placeholder = "NAME",
     .help = "of the text, as espeak-ng names it: en-us, de, pt-br (default: told sentence by "
             "sentence)"},
    {.name = "text", OF_CALL(VOICES), .type = LIST, AT(clip_texts), .placeholder = "TEXT",
     .help = "what is said in the recording: makes a better voice; repeated: in each, in their "
             "order (default: what is in the file beside it with the ending .lab or .txt)"},
    {.name = "language", OF_CALL(VOICES), .type = STRING, AT(voice.language),
     .placeholder = "TAG", .help = "of the recording, as en or de-AT"},
    {.name = "description", OF_CALL(VOICES), .type = STRING, AT(voice.description),
     .placeholder = "TEXT", .help = "of the voice, for the list"},
    {.name = "trim", OF_CALL(VOICES), .type = BOOLEAN, AT(trim),
     .help = "cut a recording that is too long at a pause (default: it is refused)"},
    {.name = "voice_dir", SETTING(SAY | BATCH | BOOK | SERVE | VOICES | DOCTOR | MCP),
     .type = STRING,
     AT(server.voice_dir),
     .placeholder = "DIR",
     .help = "where users' voices are kept: a directory, or postgresql://USER@HOST/NAME; a server "
             "whose `store` is a URL keeps them there (default: $XDG_DATA_HOME/jabbertts/voices)"},
    {.name = "voice_aliases", SETTING(SAY | BATCH | BOOK | SERVE | VOICES | MCP), .type = STRING,
     AT(server.engine.aliases), .placeholder = "LIST",
     .help = "other names of voices, over the model's own, as alloy=zoe, nova=my-voice"},
    {.name = "fallback", SETTING(SAY | SERVE), .type = BOOLEAN, AT(server.fallback),
     .preset = "false",
     .help = "sentences in a script that the model does not read are spoken by espeak-ng, in their "
             "language"},
    {.name = "lexicon", SETTING(SAY | BATCH | BOOK | SERVE | MCP),
     .type = STRING, AT(server.engine.lexicon),
     .placeholder = "FILE",
     .help = "lines `word = reading` or `word = /ipa/`: words that are said otherwise"},

    {.section = "Reading",
     .name = "speed", SETTING(SAY | BATCH | BOOK | MCP), .type = PARAMETER, .placeholder = "X"},
    {.name = "seed", SETTING(SAY | BATCH | BOOK), .type = PARAMETER, .placeholder = "N"},
    {.name = "temperature", SETTING(SAY | BATCH | BOOK), .type = PARAMETER, .placeholder = "X"},
    {.name = "top_p", SETTING(SAY | BATCH | BOOK), .type = PARAMETER, .placeholder = "X"},
    {.name = "repetition_penalty", SETTING(SAY | BATCH | BOOK),
     .type = PARAMETER, .placeholder = "X"},
    {.name = "context_sentences", SETTING(SAY), .type = PARAMETER, .placeholder = "N"},
    {.name = "repair", SETTING(SAY | BATCH | BOOK), .type = PARAMETER, .placeholder = "N"},
    {.name = "max_seconds", OF_CALL(SAY), .type = PARAMETER, .placeholder = "S"},
    {.name = "sample_rate", OF_CALL(SAY | BATCH), .type = PARAMETER, .placeholder = "HZ"},

    {.section = "Model",
     .name = "model", SETTING(SAY | BATCH | BOOK | SERVE | TEXT | VOICES | BENCH | CALIBRATE | MCP),
     .type = LIST,
     AT(models), .placeholder = "FILE",
     .help = "an installed model (jabbertts models) or a file made by jabbertts convert; "
             "espeak-ng: a robot, in over a hundred languages; serve: may be repeated, the first "
             "is the default (default: what jabbertts models use chose, else the built-in voice; "
             "serve has all that are installed)"},
    {.name = "memory_budget", SETTING(SERVE), .type = INTEGER, AT(memory_budget_mb),
     IN(0, 16777216), .preset = "0", .placeholder = "MIB",
     .help = "MiB that the models in memory take at most, with slots and caches: who was not "
             "used for longest makes room; 0 for no limit"},
    {.name = "threads",
     SETTING(SAY | BATCH | BOOK | SERVE | QUANTIZE | CALIBRATE | EVAL | BENCH | MCP),
     .type = INTEGER, AT(server.engine.threads), IN(0, 256), .preset = "0", .placeholder = "N",
     .help = "that compute, with the same result; 0 is one for each core"},
    {.name = "isa", SETTING(SAY | BATCH | BOOK | SERVE | BENCH),
     .type = WORD, AT(server.engine.isa),
     .words = isa_words, .placeholder = "NAME",
     .help = "instruction set (default: the best here)"},
    {.name = "engine", SETTING(SAY | SERVE | BENCH), .type = WORD, AT(server.engine.engine),
     .words = engine_words, .placeholder = "NAME",
     .help = "what computes: own, or onnx, which is ONNX Runtime (default: own; an exported folder "
             "is always for onnx)"},
    {.name = "onnx_dir", SETTING(SAY | SERVE | BENCH), .type = STRING, AT(server.engine.onnx_dir),
     .placeholder = "DIR",
     .help = "where engine onnx keeps the graphs of models (default: "
             "$XDG_CACHE_HOME/jabbertts/onnx)"},
    {.name = "onnx_library", SETTING(SAY | SERVE | BENCH | EXPORT), .type = STRING,
     AT(server.engine.onnx_library), .placeholder = "FILE",
     .help = "libonnxruntime.so (default: where it is installed)"},
    {.name = "onnx_provider", SETTING(SAY | SERVE | BENCH), .type = WORD,
     AT(server.engine.onnx_provider), .words = provider_words, .placeholder = "NAME",
     .help = "of ONNX Runtime, what its library was built with (default: cpu)"},
    {.name = "cache", SETTING(SAY | BATCH | BOOK | SERVE | EVAL | BENCH), .type = WORD,
     AT(server.engine.cache),
     .words = cache_words, .placeholder = "TYPE",
     .help = "how keys and values are kept (default: by the model's matrices)"},
    {.name = "context", SETTING(SAY | BATCH | BOOK | SERVE | INSPECT | BENCH), .type = INTEGER,
     AT(server.engine.context), IN(0, 65536), .preset = "0", .placeholder = "N",
     .help = "tokens and frames of a sentence with its voice; of one that is longer the voice, the "
             "text and the last frames stay; 0 is the model's (bench: 1024)"},
    {.name = "prefix_mb", SETTING(SAY | BATCH | BOOK | SERVE), .type = INTEGER,
     AT(server.engine.prefix_mb),
     IN(0, 65536), .preset = "256", .placeholder = "N",
     .help = "MiB for the prompts of voices, so that a voice's second request starts sooner"},
    {.name = "prefix_dir", SETTING(SAY | BATCH | BOOK | SERVE), .type = STRING,
     AT(server.engine.prefix_dir),
     .placeholder = "DIR",
     .help = "keep them there for later runs, up to 1 GiB (default: nowhere)"},

    {.section = "Model files",
     .name = "output", .letter = 'o', OF_CALL(CONVERT | CALIBRATE), .type = STRING, AT(output),
     .placeholder = "FILE", .help = "to write; it appears only when it is whole"},
    {.name = "type", OF_CALL(CONVERT), .type = WORD, AT(type), .words = convert_words,
     .placeholder = "TYPE",
     .help = "of the matrices (default: as in DIR; q4_0 goes with --random only)"},
    {.name = "type", OF_CALL(QUANTIZE), .type = WORD, AT(type), .words = quantize_words,
     .placeholder = "TYPE",
     .help = "q8: every matrix in 8 bits; q4: the language model's in 4 bits, the codec's in 8; "
             "mixed: as q4, but what suffers most keeps 8 bits"},
    {.name = "onnx", OF_CALL(EXPORT), .type = STRING, AT(onnx), .placeholder = "DIR",
     .help = "the folder to write; what is there of an earlier export is replaced"},
    {.name = "check", OF_CALL(EXPORT), .type = BOOLEAN, AT(export_check),
     .help = "run what was written in ONNX Runtime and compare it with our kernels"},
    {.name = "type", OF_CALL(EXPORT), .type = WORD, AT(type), .words = export_words,
     .placeholder = "NAME",
     .help = "of the weights: f32; f16, half the size, computed in floats; int8, with --imatrix "
             "(default: f32)"},
    {.name = "alignment", OF_CALL(CALIBRATE), .type = BOOLEAN, AT(alignment),
     .help = "write the model again, with the attention heads that say which word is spoken when; "
             "without them word times go by the length of words"},
    {.name = "keep", OF_CALL(PRUNE), .type = NUMBER, AT(prune_keep), IN(0.01, 1),
     .preset = "0.9", .placeholder = "X", .help = "share that stays"},
    {.name = "part", OF_CALL(PRUNE), .type = WORD, AT(part), .words = prune_words,
     .placeholder = "NAME",
     .help = "what goes: feed-forward columns, attention heads, whole layers, the codec's inner "
             "channels; single weights, or 2:4, two of four in a row, which become zero and make "
             "nothing smaller or faster (default: feed-forward)"},
    {.name = "limit", OF_CALL(PRUNE), .type = NUMBER, AT(prune_limit), IN(0, 100),
     .preset = "0.05", .placeholder = "X",
     .help = "divergence from the original, in nats, that is still accepted"},
    {.name = "judge", OF_CALL(PRUNE), .type = STRING, AT(judge), .placeholder = "FILE",
     .help = "what is said to measure it (default: English sentences that come with the program, "
             "others than those it learns from)"},
    {.name = "limit-db", OF_CALL(PRUNE), .type = NUMBER, AT(prune_limit_db), IN(0, 100),
     .preset = "20", .placeholder = "X",
     .help = "signal to noise of the codec, in dB, that is still accepted"},
    {.name = "force", OF_CALL(PRUNE), .type = BOOLEAN, AT(force),
     .help = "write the file whatever was lost"},
    {.name = "imatrix", OF_CALL(EXPORT), .type = STRING, AT(imatrix), .placeholder = "FILE",
     .help = "type int8: how large inputs are, as jabbertts calibrate writes it"},
    {.name = "imatrix", OF_CALL(QUANTIZE), .type = STRING, AT(imatrix), .placeholder = "FILE",
     .help = "importance of inputs, as jabbertts calibrate writes it: less error where it counts"},
    {.name = "target_bits", OF_CALL(QUANTIZE), .type = NUMBER, AT(target_bits), IN(4.5, 8.5),
     .placeholder = "X",
     .help = "mixed: so many bits a value of the language model, where they help this model most"},
    {.name = "no_equalize", OF_CALL(CONVERT | QUANTIZE), .type = BOOLEAN, AT(no_equalize),
     .help = "do not move channel sizes between neighbouring weights (convert: type q8_0 does)"},
    {.name = "reference", OF_CALL(EVAL), .type = STRING, AT(reference), .placeholder = "FILE",
     .help = "the original"},
    {.name = "text", OF_CALL(CALIBRATE | EVAL | PRUNE), .type = STRING, AT(corpus),
     .placeholder = "FILE",
     .help = "what is said (default: two dozen English sentences)"},
    {.name = "name", OF_CALL(CONVERT), .type = STRING, AT(convert.name), .placeholder = "NAME",
     .help = "of the model (default: the directory's)"},
    {.name = "model_version", OF_CALL(CONVERT), .type = STRING, AT(convert.version),
     .placeholder = "V", .help = "its version, as the file says it (default: none)"},
    {.name = "default_voice", OF_CALL(CONVERT), .type = STRING, AT(convert.default_voice),
     .placeholder = "NAME", .help = "the voice used when none is asked for"},
    {.name = "alias", OF_CALL(CONVERT), .type = LIST, AT(aliases), .placeholder = "A=VOICE",
     .help = "let VOICE answer to A too; may be repeated"},
    {.name = "temperature", OF_CALL(CONVERT), .type = FLOAT, AT(convert.temperature), IN(0, 2),
     .placeholder = "X", .help = "recommended, stored in the file"},
    {.name = "top_p", OF_CALL(CONVERT), .type = FLOAT, AT(convert.top_p), IN(0.000001, 1),
     .placeholder = "X", .help = "the same"},
    {.name = "repetition_penalty", OF_CALL(CONVERT), .type = FLOAT,
     AT(convert.repetition_penalty), IN(1, 2), .placeholder = "X", .help = "the same"},
    {.name = "gain", OF_CALL(CONVERT), .type = FLOAT, AT(convert.gain_db), IN(-40, 40),
     .placeholder = "DB",
     .help = "brings speech to -18 LUFS, stored in the file (default: 0); bench/quality sound "
             "measures it"},
    {.name = "no_encoder", OF_CALL(CONVERT), .type = BOOLEAN, AT(no_encoder),
     .help = "leave out what only imitating needs"},
    {.name = "random", OF_CALL(CONVERT), .type = WORD, AT(convert.random), .words = random_words,
     .placeholder = "SHAPE",
     .help = "no DIR: this shape with random weights, for benchmarks (default type: as "
             "published, bf16 and f32)"},
    {.name = "json", OF_CALL(INSPECT | EVAL | BENCH), .type = BOOLEAN, AT(json),
     .help = "print JSON"},

    {.section = "Installed models",
     .name = "type", OF_CALL(PULL), .type = WORD, AT(type), .words = pull_words,
     .placeholder = "TYPE",
     .help = "to convert to (default: mixed; a GGUF stays as it is)"},
    {.name = "name", OF_CALL(PULL), .type = STRING, AT(convert.name), .placeholder = "NAME",
     .help = "to install it as (default: the repository's or file's)"},
    {.name = "imatrix", OF_CALL(PULL), .type = STRING, AT(imatrix), .placeholder = "FILE",
     .help = "importance of inputs, as jabbertts calibrate writes it"},
    {.name = "imatrix", OF_CALL(MODELS), .type = STRING, AT(imatrix), .placeholder = "FILE",
     .help = "update: the importance matrix again"},
    {.name = "accept_licence", OF_CALL(PULL | MODELS), .type = BOOLEAN, AT(accept_licence),
     .help = "accept the model's licence without being asked"},
    {.name = "keep", OF_CALL(PULL | MODELS), .type = BOOLEAN, AT(keep),
     .help = "keep the downloaded files"},
    {.name = "json", OF_CALL(PULL | MODELS | DOCTOR), .type = BOOLEAN, AT(json),
     .help = "print JSON; pull: a line for each event"},
    {.name = "model_dir", SETTING(PULL | MODELS | DOCTOR | SAY | BATCH | BOOK | SERVE | TEXT |
                                  VOICES | BENCH | CALIBRATE | MCP),
     .type = STRING, AT(model_dir), .placeholder = "DIR",
     .help = "where models are installed (default: $XDG_DATA_HOME/jabbertts/models; root: "
             "/var/lib/jabbertts/models)"},
    {.name = "connections", SETTING(PULL | MODELS | DOCTOR), .type = INTEGER,
     AT(connections), IN(1, 16),
     .preset = "4", .placeholder = "N", .help = "for one large file"},
    {.name = "ca_file", SETTING(PULL | MODELS), .type = STRING, AT(ca_file),
     .placeholder = "FILE",
     .help = "PEM: certificates to trust (default: SSL_CERT_FILE, else the system's)"},

    {.section = "Server",
     .name = "background", OF_CALL(SERVE), .type = BOOLEAN, AT(background),
     .help = "return when it listens, and leave it running; its log is "
             "$XDG_STATE_HOME/jabbertts/serve.log"},
    {.name = "host", SETTING(SERVE | DOCTOR), .type = STRING, AT(server.host),
     .preset = "127.0.0.1",
     .placeholder = "ADDRESS",
     .help = "name or address to listen on; 0.0.0.0 for every interface, unix:/path a socket, "
             "systemd the one that it passes on"},
    {.name = "port", SETTING(SERVE | DOCTOR), .type = INTEGER, AT(server.port), IN(0, 65535),
     .preset = "8000", .placeholder = "N", .help = "to listen on; 0 takes any free one"},
    {.name = "wyoming", SETTING(SERVE), .type = INTEGER, AT(server.wyoming), IN(0, 65535),
     .preset = "0", .placeholder = "N",
     .help = "also speak the Wyoming protocol of Home Assistant on this port, usually 10200; it "
             "knows no keys; 0: do not"},
    {.name = "sandbox", SETTING(SERVE), .type = CHOICE, AT(sandbox), .words = switch_words,
     .preset = "on", .placeholder = "ON",
     .help = "the server cannot run programs, open files but those its options name, nor call "
             "other machines but its store, as far as this kernel has Landlock and seccomp"},
    {.name = "user", SETTING(SERVE), .type = STRING, AT(user), .placeholder = "NAME",
     .help = "started by root: become this user once it listens"},
    {.name = "model_name", SETTING(SERVE), .type = STRING, AT(server.model_name),
     .placeholder = "LIST",
     .help = "the model's id in the API, and other names that it answers to, with commas "
             "(default: its file's name)"},
    {.name = "slots", SETTING(SERVE), .type = INTEGER, AT(server.engine.slots), IN(1, 64),
     .preset = "4", .placeholder = "N", .help = "requests spoken together"},
    {.name = "queue", SETTING(SERVE), .type = INTEGER, AT(server.engine.queue), IN(0, 65536),
     .preset = "64", .placeholder = "N", .help = "requests that may wait for a slot"},
    {.name = "max_wait", SETTING(SERVE), .type = NUMBER, AT(server.engine.max_wait_s),
     IN(0, 86400), .preset = "120", .placeholder = "S",
     .help = "seconds: requests that would wait longer for their start are refused; 0 for no "
             "limit"},
    {.name = "idle_unload", SETTING(SERVE), .type = NUMBER, AT(server.engine.idle_s),
     IN(0, 8640000), .preset = "0", .placeholder = "S",
     .help = "seconds without a request, after which the model's memory is given back; 0 for "
             "never"},
    {.name = "workers", SETTING(SERVE), .type = INTEGER, AT(server.workers), IN(2, 64),
     .preset = "4", .placeholder = "N", .help = "threads that read requests and encode sound"},
    {.name = "max_connections", SETTING(SERVE), .type = INTEGER, AT(server.max_connections),
     IN(1, 20000), .preset = "1000", .placeholder = "N", .help = "open at a time"},
    {.name = "max_input_chars", SETTING(SERVE), .type = INTEGER, AT(server.max_input_chars),
     IN(1, 1000000), .preset = "4096", .placeholder = "N",
     .help = "characters of a request's text"},
    {.name = "max_body_kib", SETTING(SERVE), .type = INTEGER, AT(server.max_body_kib),
     IN(1, 65536), .preset = "1024", .placeholder = "N", .help = "KiB of a JSON request"},
    {.name = "header_timeout", SETTING(SERVE), .type = NUMBER, AT(server.header_timeout_s),
     IN(0.1, 3600), .preset = "15", .placeholder = "S",
     .help = "seconds for a new connection to send its request's headers"},
    {.name = "body_timeout", SETTING(SERVE), .type = NUMBER, AT(server.body_timeout_s),
     IN(0.1, 3600), .preset = "60", .placeholder = "S",
     .help = "seconds for a request's body to come"},
    {.name = "idle_timeout", SETTING(SERVE), .type = NUMBER, AT(server.idle_timeout_s),
     IN(1, 3600), .preset = "75", .placeholder = "S",
     .help = "seconds without a byte moved, after which a connection is closed"},
    {.name = "request_timeout", SETTING(SERVE), .type = NUMBER, AT(server.request_timeout_s),
     IN(1, 86400), .preset = "600", .placeholder = "S",
     .help = "seconds for a whole answer, unless the client announces less"},
    {.name = "drain_timeout", SETTING(SERVE), .type = NUMBER, AT(drain_timeout_s), IN(0, 3600),
     .preset = "30", .placeholder = "S",
     .help = "seconds that running requests get to end when the server is told to stop"},
    {.name = "strict", SETTING(SERVE), .type = BOOLEAN, AT(server.strict), .preset = "false",
     .help = "refuse fields that are unknown; else they are ignored, and a header says so"},
    {.name = "refuse_silence", SETTING(SERVE), .type = BOOLEAN, AT(server.refuse_silence),
     .preset = "false",
     .help = "refuse a text without a letter or digit; else it is 0.2 s of silence"},
    {.name = "cors_origins", SETTING(SERVE), .type = STRING, AT(server.cors_origins),
     .preset = "local", .placeholder = "LIST",
     .help = "web pages that may call, beside the server's own: local for those from this machine, "
             "https://chat.example, ..., or * for all"},
    {.name = "hosts", SETTING(SERVE), .type = STRING, AT(server.hosts), .preset = "",
     .placeholder = "LIST",
     .help = "names that the server answers for; else, on this machine without keys, those of this "
             "machine, and elsewhere any"},
    {.name = "base_path", SETTING(SERVE), .type = STRING, AT(server.base_path), .preset = "",
     .placeholder = "PATH", .help = "answer below this path, too, as a proxy passes it on: /tts"},
    {.name = "store", SETTING(SERVE), .secret = true, .type = STRING, AT(server.jobs),
     .placeholder = "FILE",
     .help = "files and batches: a file, or postgresql://USER@HOST/NAME, which replicas share, and "
             "where voices are then, too (default: jobs.sqlite in voice_dir)"},
    {.name = "bucket", SETTING(SERVE), .type = STRING, AT(server.bucket.where),
     .placeholder = "URL",
     .help = "s3://NAME/PREFIX: contents of files and sounds of batches are objects there, and not "
             "in the database"},
    {.name = "bucket_endpoint", SETTING(SERVE), .type = STRING, AT(server.bucket.endpoint),
     .placeholder = "URL", .help = "of a bucket that is not Amazon's: https://HOST"},
    {.name = "bucket_region", SETTING(SERVE), .type = STRING, AT(server.bucket.region),
     .preset = "us-east-1", .placeholder = "NAME", .help = "of the bucket"},
    {.name = "bucket_keys_file", SETTING(SERVE), .type = STRING, AT(bucket_keys_file),
     .placeholder = "FILE",
     .help = "lines `aws_access_key_id = ID` and `aws_secret_access_key = SECRET` (default: "
             "$AWS_ACCESS_KEY_ID, $AWS_SECRET_ACCESS_KEY, $AWS_SESSION_TOKEN)"},
    {.name = "bucket_above", SETTING(SERVE), .type = INTEGER, AT(server.bucket_above_kib),
     IN(0, 1000000), .preset = "64", .placeholder = "N",
     .help = "KiB; what is smaller stays in the database"},
    {.name = "batch_mb", SETTING(SERVE), .type = INTEGER, AT(server.batch_mb), IN(1, 2000),
     .preset = "200", .placeholder = "N", .help = "MiB of an uploaded file"},
    {.name = "batch_lines", SETTING(SERVE), .type = INTEGER, AT(server.batch_lines),
     IN(1, 10000000), .preset = "100000", .placeholder = "N", .help = "requests in a batch"},
    {.name = "batch_open", SETTING(SERVE), .type = INTEGER, AT(server.batch_open),
     IN(1, 1000), .preset = "100", .placeholder = "N",
     .help = "batches of one key that have not ended"},
    {.name = "batch_rows", SETTING(SERVE), .type = INTEGER, AT(server.batch_rows), IN(1, 64),
     .preset = "8", .placeholder = "N",
     .help = "lines of batches spoken or stored at a time"},
    {.name = "batch_days", SETTING(SERVE), .type = INTEGER, AT(server.batch_days), IN(1, 3650),
     .preset = "30", .placeholder = "N",
     .help = "that the sounds of a batch are kept, and the batch after its end"},
    {.name = "spool_mb", SETTING(SERVE), .type = INTEGER, AT(server.spool_mb), IN(16, 1000000),
     .preset = "512", .placeholder = "N",
     .help = "MiB of uploads and whole answers, all together, that are kept in files meanwhile"},
    {.name = "spool_dir", SETTING(SERVE), .type = STRING, AT(server.spool_dir),
     .placeholder = "DIR", .help = "of those files (default: /var/tmp)"},
    {.name = "cache_dir", SETTING(SERVE), .type = STRING, AT(server.cache_dir),
     .placeholder = "DIR",
     .help = "keep finished answers here: who asks for the same again gets the same bytes at once "
             "(default: nowhere)"},
    {.name = "cache_size", SETTING(SERVE), .type = INTEGER, AT(server.cache_mb), IN(1, 10000000),
     .preset = "1024", .placeholder = "N",
     .help = "MiB of them; what was asked for least recently goes first"},
    {.name = "api_keys_file", SETTING(SERVE), .type = STRING, AT(server.api_keys_file),
     .placeholder = "FILE", .help = "a line `name: key` or `name: sha256:HEX` for each API key"},
    {.name = "api_keys", SETTING(SERVE), .secret = true, .type = STRING, AT(server.api_keys),
     .placeholder = "LIST",
     .help = "API keys with commas, as key or name:key; without any key everyone may ask"},
    {.name = "rate_limit", SETTING(SERVE), .type = INTEGER, AT(server.rate_limit), IN(0, 1000000),
     .preset = "0", .placeholder = "N", .help = "requests a minute for each key; 0 is no limit"},
    {.name = "public_lists", SETTING(SERVE), .type = BOOLEAN, AT(server.public_lists),
     .preset = "true",
     .help = "models and voices are listed without a key, as Open WebUI asks for them"},
    {.name = "tls_cert", SETTING(SERVE), .type = STRING, AT(server.tls_cert),
     .placeholder = "FILE", .help = "PEM: a certificate chain, to serve HTTPS; needs tls_key"},
    {.name = "tls_key", SETTING(SERVE), .type = STRING, AT(server.tls_key), .placeholder = "FILE",
     .help = "PEM: the certificate's private key"},
    {.name = "log_text", SETTING(SERVE), .type = BOOLEAN, AT(server.log_text), .preset = "false",
     .help = "log the texts of requests too"},
    {.name = "log", SETTING(SERVE), .type = CHOICE, AT(server.log), .preset = "text",
     .words = log_words, .placeholder = "FORM", .help = "of the log on standard error"},

    {.section = "Every command",
     .name = "quiet", SETTING(EVERY), .type = BOOLEAN, AT(quiet), .preset = "false",
     .help = "say nothing but errors"},
    {.name = "config", OF_CALL(EVERY & ~(VERSION | COMPLETION)), .type = STRING, AT(config),
     .placeholder = "FILE", .help = "read this file instead of the usual ones"},
    {.name = "help", .letter = 'h', OF_CALL(EVERY), .type = BOOLEAN, AT(help),
     .help = "this text"},
};
/* clang-format on */
const int n_option_row = (int)(sizeof option_rows / sizeof *option_rows);
_Static_assert(sizeof option_rows / sizeof *option_rows <= OPTIONS_ROW_MAX,
               "struct options has room for so many rows");

const struct command *cli_find_command(const char *name)
{
    for (const struct command *c = cli_commands; c->name; c++)
        if (!strcmp(c->name, name))
            return c;
    return NULL;
}

/* English abbreviations. */
#include "text/english.h"

const struct language_abbreviation english_abbreviations[] = {
    {"Dr.", "Doctor", WHEN_BEFORE_NAME},
    {"Mr.", "Mister", WHEN_ALWAYS},
    {"Mr", "Mister", WHEN_BEFORE_NAME},
    {"Mrs.", "Missus", WHEN_ALWAYS},
    {"Mrs", "Missus", WHEN_BEFORE_NAME},
    {"etc.", "et cetera", WHEN_MAY_END},
    {"e.g.", "for example", WHEN_ALWAYS},
    {"i.e.", "that is", WHEN_ALWAYS},
    {"vs.", "versus", WHEN_ALWAYS},
    {"vs", "versus", WHEN_ALWAYS},
    {"No.", "number", WHEN_BEFORE_NUMBER},
    {0},
};

/* Phonetic strings that travel through the stages of text as private-use characters, and X-SAMPA.
 */
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "text/ssml.h"

#define MAX_PHONES_BYTES 1024

/* J. C. Wells, "Computer-coding the IPA: a proposed extension of SAMPA" (1995).  Longest first
 * where one begins another; letters that are the same in both are not listed. */
static const struct {
    const char *sampa, *ipa;
} sampa[] = {
    {"_B_L", "᷅"},  {"_H_T", "᷄"}, {"_R_F", "᷈"}, {"|\\|\\", "ǁ"}, {"G\\_<", "ʛ"}, {"J\\_<", "ʄ"},
    {"_?\\", "ˤ"}, {"b_<", "ɓ"}, {"d_<", "ɗ"}, {"g_<", "ɠ"},    {"r\\`", "ɻ"},  {"<\\", "ʢ"},
    {">\\", "ʡ"},  {"_\"", "̈"},  {"_+", "̟"},   {"_-", "̠"},      {"_/", "̌"},     {"_0", "̥"},
    {"_=", "̩"},    {"_>", "ʼ"},  {"_\\", "̂"},  {"_^", "̯"},      {"_}", "̚"},     {"_`", "˞"},
    {"_~", "̃"},    {"_A", "̘"},   {"_a", "̺"},   {"_B", "̏"},      {"_c", "̜"},     {"_d", "̪"},
    {"_e", "̴"},    {"_F", "̂"},   {"_G", "ˠ"},  {"_H", "́"},      {"_h", "ʰ"},    {"_j", "ʲ"},
    {"_k", "̰"},    {"_L", "̀"},   {"_l", "ˡ"},  {"_M", "̄"},      {"_m", "̻"},     {"_N", "̼"},
    {"_n", "ⁿ"},   {"_O", "̹"},   {"_o", "̞"},   {"_q", "̙"},      {"_R", "̌"},     {"_r", "̝"},
    {"_T", "̋"},    {"_t", "̤"},   {"_v", "̬"},   {"_w", "ʷ"},     {"_X", "̆"},     {"_x", "̽"},
    {"-\\", "‿"},  {"||", "‖"},  {"!\\", "ǃ"}, {"=\\", "ǂ"},    {"|\\", "ǀ"},   {":\\", "ˑ"},
    {"?\\", "ʕ"},  {"@\\", "ɘ"}, {"@`", "ɚ"},  {"3\\", "ɞ"},    {"3`", "ɝ"},    {"B\\", "ʙ"},
    {"d`", "ɖ"},   {"G\\", "ɢ"}, {"H\\", "ʜ"}, {"h\\", "ɦ"},    {"I\\", "ᵻ"},   {"j\\", "ʝ"},
    {"J\\", "ɟ"},  {"K\\", "ɮ"}, {"L\\", "ʟ"}, {"l\\", "ɺ"},    {"l`", "ɭ"},    {"M\\", "ɰ"},
    {"n`", "ɳ"},   {"N\\", "ɴ"}, {"O\\", "ʘ"}, {"p\\", "ɸ"},    {"R\\", "ʀ"},   {"r\\", "ɹ"},
    {"r`", "ɽ"},   {"s\\", "ɕ"}, {"s`", "ʂ"},  {"t`", "ʈ"},     {"U\\", "ᵿ"},   {"v\\", "ʋ"},
    {"X\\", "ħ"},  {"x\\", "ɧ"}, {"z\\", "ʑ"}, {"z`", "ʐ"},     {"_", ""},      {"!", "ꜜ"},
    {"\"", "ˈ"},   {"%", "ˌ"},   {"&", "ɶ"},   {"'", "ʲ"},      {"-", ""},      {"1", "ɨ"},
    {"2", "ø"},    {"3", "ɜ"},   {"4", "ɾ"},   {"5", "ɫ"},      {"6", "ɐ"},     {"7", "ɤ"},
    {"8", "ɵ"},    {"9", "œ"},   {":", "ː"},   {"=", "̩"},       {"?", "ʔ"},     {"@", "ə"},
    {"`", "˞"},    {"{", "æ"},   {"}", "ʉ"},   {"~", "̃"},       {"A", "ɑ"},     {"B", "β"},
    {"C", "ç"},    {"D", "ð"},   {"E", "ɛ"},   {"F", "ɱ"},      {"G", "ɣ"},     {"H", "ɥ"},
    {"I", "ɪ"},    {"J", "ɲ"},   {"K", "ɬ"},   {"L", "ʎ"},      {"M", "ɯ"},     {"N", "ŋ"},
    {"O", "ɔ"},    {"P", "ʋ"},   {"Q", "ɒ"},   {"R", "ʁ"},      {"S", "ʃ"},     {"T", "θ"},
    {"U", "ʊ"},    {"V", "ʌ"},   {"W", "ʍ"},   {"X", "χ"},      {"Y", "ʏ"},     {"Z", "ʒ"},
    {"g", "ɡ"},
};

static int add_sampa(const char *ph, struct buf *out)
{
    int rc = 0;
    while (*ph && rc == 0) {
        size_t len = 1, i = 0, n = sizeof sampa / sizeof *sampa;
        while (i < n && strncmp(ph, sampa[i].sampa, strlen(sampa[i].sampa)) != 0)
            i++;
        if (i < n)
            len = strlen(sampa[i].sampa);
        rc = i < n ? buf_add_str(out, sampa[i].ipa) : buf_add(out, ph, 1);
        ph += len;
    }
    return rc;
}

/* What IPA is written with: small letters of any kind, modifiers, marks, and its own signs. */
static bool is_ipa(UChar32 c)
{
    switch (u_charType(c)) {
    case U_LOWERCASE_LETTER:
    case U_OTHER_LETTER:
    case U_MODIFIER_LETTER:
    case U_MODIFIER_SYMBOL:
    case U_NON_SPACING_MARK:
        return true;
    default:
        return c == ' ' || c == '.' || c == '|' || c == 0x2016 || c == 0x203f || c == 0x2197 ||
               c == 0x2198 || c == '-' || c == 0xa71c || c == 0xa71b || c == '\'';
    }
}

static int check_ipa(const char *s, const char *given, struct err *e)
{
    int32_t n = (int32_t)strlen(s), spoken = 0;
    for (int32_t i = 0, at; i < n;) {
        UChar32 c;
        at = i;
        U8_NEXT(s, i, n, c);
        if (c < 0 || !is_ipa(c))
            return err_set(e, ERR_FORMAT,
                           "phonetic string \"%.60s\" has '%.*s', which is none of IPA's "
                           "signs",
                           given, i - at, s + at);
        spoken += u_charType(c) == U_LOWERCASE_LETTER || u_charType(c) == U_OTHER_LETTER;
    }
    return spoken ? 0
                  : err_set(e, ERR_FORMAT, "phonetic string \"%.60s\" has no sound in it", given);
}

/* Every byte but those with a meaning to phonemes.c, which may not stand in what it is given. */
static int add_private(const char *s, struct buf *out)
{
    int rc = 0;
    for (; *s && rc == 0; s++) {
        char c[4];
        int32_t len = 0;
        if (*s == '.' || *s == '|' || *s == '-')
            continue; /* syllables and feet: nothing to hear */
        U8_APPEND_UNSAFE(c, len, SSML_BYTE + (unsigned char)(*s == '\'' ? ' ' : *s));
        rc = buf_add(out, c, (size_t)len);
    }
    return rc;
}

int ipa_encode(const char *alphabet, const char *ph, struct buf *out, struct err *e)
{
    struct buf ipa;
    int rc;
    if (strlen(ph) > MAX_PHONES_BYTES)
        return err_set(e, ERR_LIMIT, "phonetic string has %zu bytes, the limit is %d", strlen(ph),
                       MAX_PHONES_BYTES);
    buf_init(&ipa, 8 * MAX_PHONES_BYTES);
    if (strcasecmp(alphabet, "ipa") == 0)
        rc = buf_add_str(&ipa, ph);
    else if (strcasecmp(alphabet, "x-sampa") == 0)
        rc = add_sampa(ph, &ipa);
    else
        rc = err_set(e, ERR_UNSUPPORTED,
                     "phonetic alphabet \"%.40s\" is unknown, known are ipa and "
                     "x-sampa",
                     alphabet);
    if (rc == 0 && (rc = check_ipa(buf_str(&ipa), ph, e)) == 0)
        rc = add_private(buf_str(&ipa), out);
    if (rc == ERR_MEMORY)
        err_set(e, rc, "out of memory for a phonetic string");
    buf_done(&ipa);
    return rc;
}

int ipa_byte(int32_t c)
{
    return c >= SSML_BYTE && c < SSML_BYTE + 256 ? c - SSML_BYTE : -1;
}

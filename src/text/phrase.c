#include "text/phrase.h"

#include <stdbool.h>
#include <string.h>

#include "text/scan.h"

#define MAX_WORD_BYTES 24

/* Small letters, a space around each. */
struct phrase_words {
    const char *language;
    const char *conjunctions; /* a clause starts with them */
    const char *starts;       /* a phrase starts with them: prepositions, pronouns */
    const char *leads;        /* not the end of anything: articles, possessives, auxiliaries */
    const char *bound;        /* not the start of anything: "of" */
};

/* clang-format off */
static const struct phrase_words lists[] = {
    {"en",
     " and or but nor so because that which who whose when while where if unless until since"
     " although though"
     " whereas before after whether as than then yet ",
     " to in on at by with from for into onto over under through about against between among"
     " during without within"
     " across behind beyond along around toward towards upon he she they we it i you there"
     " this these those ",
     " a an the my your his her its our their this that these those no every each some any all"
     " both such"
     " is are was were be been am has have had do does did will would shall should can could"
     " may might must"
     " to not very too more most so as than who which mr mrs ms dr doctor and or but nor"
     " because if ",
     " of n't per percent dollars cents o'clock "},
    {"de",
     " und oder aber denn sondern weil dass ob wenn als während obwohl damit bevor nachdem"
     " seit sobald wo wie"
     " sowie doch ",
     " in im an am auf bei mit von vom zu zum zur nach aus für über unter vor hinter neben"
     " zwischen durch"
     " gegen ohne um seit er sie es wir ich ihr man ",
     " der die das den dem des ein eine einen einem einer eines mein meine sein seine ihr ihre"
     " unser unsere kein"
     " keine keinen dieser diese dieses jeder jede jedes ist sind war waren hat haben hatte"
     " wird werden kann"
     " konnte muss soll will sehr zu nicht so und oder aber dass weil wenn ",
     " uhr prozent euro "},
    {"fr",
     " et ou mais donc car ni que qui quand lorsque parce si comme puis tandis alors où dont"
     " quoique ",
     " dans sur sous avec sans pour par chez vers entre pendant depuis avant après contre en"
     " à au aux il elle"
     " ils elles nous vous je on ",
     " le la les un une des du l' d' mon ma mes ton ta tes son sa ses notre nos votre vos leur"
     " leurs ce cet cette"
     " ces est sont était ont a avait ne n' se s' très plus moins et ou mais que qui si ",
     " de d' pas heures euros pour "},
    {"es",
     " y e o u pero sino ni que quien cuando porque si como mientras aunque pues donde ",
     " en con sin por para sobre bajo entre desde hasta hacia contra durante a al él ella"
     " ellos ellas ",
     " el la los las un una unos unas mi mis tu tus su sus nuestro nuestra este esta estos"
     " estas ese esa es son"
     " era fue ha han había no se muy más menos y o pero que si ",
     " de del euros "},
    {"it",
     " e ed o ma però né che chi quando perché se come mentre anche dove quindi poi ",
     " in con senza per su sul sulla tra fra da dal dalla verso durante contro a al alla lui"
     " lei loro ",
     " il lo la i gli le un uno una mio mia suo sua nostro nostra questo questa questi quel"
     " quella è sono era ha"
     " hanno non si molto più meno e o ma che se ",
     " di del della dei delle euro "},
    {"pt",
     " e ou mas nem que quem quando porque se como enquanto embora pois onde ",
     " em no na nos nas com sem por pelo pela para sobre sob entre desde até contra durante a"
     " ao à ele ela eles"
     " elas ",
     " o os as um uma uns umas meu minha seu sua nosso nossa este esta esse essa é são era"
     " foi tem há não se muito"
     " mais menos e ou mas que ",
     " de do da dos das reais euros "},
    {"nl",
     " en of maar want dus dat die omdat als toen terwijl hoewel of voordat nadat sinds waar ",
     " in op aan bij met van naar uit voor over onder achter naast tussen door tegen zonder om"
     " sinds hij zij ze"
     " het we wij ik ",
     " de het een mijn zijn haar ons onze hun dit deze geen elk elke is was waren heeft had"
     " hebben wordt kan zal"
     " moet niet zeer te en of maar dat ",
     " uur procent euro "},
    {"pl",
     " i oraz a ale lecz lub albo bo że żeby który która które kiedy gdy jeśli jak"
     " ponieważ gdzie chociaż ",
     " w we na z ze do od po przy dla nad pod przed za między przez bez o u on ona oni ",
     " nie się jest są był była ten ta to mój moja jego jej ich nasz bardzo i a w we na z"
     " ze do od po przy dla nad"
     " pod przed za przez bez o u ",
     " złotych procent "},
    {"ru",
     " и или но а что чтобы который которая которые"
     " когда если как потому где хотя пока ",
     " в во на с со к ко от до по при для над под перед за"
     " между через без о об у из он она они мы ",
     " не этот эта это мой моя его её их наш очень и а в"
     " во на с со к ко от до по при для над под за через"
     " без о об"
     " у из ",
     " рублей процентов же ли бы "},
};
/* clang-format on */

const struct phrase_words *phrase_words(const char *language)
{
    size_t n = strcspn(language, "-_+");
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (strlen(lists[i].language) == n && scan_match(language, n, 0, lists[i].language, true))
            return &lists[i];
    return NULL;
}

/* Is s[0..n) one of the words, whatever its case?  Only ASCII capitals are known as such. */
static bool phrase_has(const char *words, const char *s, size_t n)
{
    char word[MAX_WORD_BYTES + 3] = " ";
    if (n == 0 || n > MAX_WORD_BYTES)
        return false;
    for (size_t i = 0; i < n; i++)
        word[i + 1] = (char)(scan_is_upper(s[i]) ? s[i] | 32 : s[i]);
    word[n + 1] = ' ';
    return strstr(words, word) != NULL;
}

static bool phrase_ends_word(char c)
{
    return c == ' ' || c == '\n' || (c >= '!' && c <= '/' && c != '\'') || c == ':' || c == ';';
}

enum phrase_break phrase_break(const struct phrase_words *w, const char *s, size_t n, size_t at)
{
    size_t end = at, last = at;
    if (!w)
        return PHRASE_WORD;
    while (end < n && end - at <= MAX_WORD_BYTES && !phrase_ends_word(s[end]))
        end++;
    while (last && s[last - 1] == ' ')
        last--;
    size_t start = last;
    while (start && last - start <= MAX_WORD_BYTES && !phrase_ends_word(s[start - 1]))
        start--;
    if (phrase_has(w->bound, s + at, end - at) || phrase_has(w->leads, s + start, last - start) ||
        phrase_has(w->starts, s + start, last - start))
        return PHRASE_INSIDE;
    return phrase_has(w->conjunctions, s + at, end - at) ? PHRASE_CLAUSE
           : phrase_has(w->starts, s + at, end - at)     ? PHRASE_START
                                                         : PHRASE_WORD;
}

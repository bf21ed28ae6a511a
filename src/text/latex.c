/* LaTeX commands and the signs they stand for. */
#include <string.h>

#include "text/markup.h"
#include "text/scan.h"

static const struct {
    const char *name, *sign;
} commands[] = {
    {"alpha", "α"},    {"beta", "β"},        {"gamma", "γ"},      {"delta", "δ"},
    {"epsilon", "ε"},  {"varepsilon", "ε"},  {"zeta", "ζ"},       {"eta", "η"},
    {"theta", "θ"},    {"iota", "ι"},        {"kappa", "κ"},      {"lambda", "λ"},
    {"mu", "μ"},       {"nu", "ν"},          {"xi", "ξ"},         {"pi", "π"},
    {"rho", "ρ"},      {"sigma", "σ"},       {"tau", "τ"},        {"phi", "φ"},
    {"varphi", "φ"},   {"chi", "χ"},         {"psi", "ψ"},        {"omega", "ω"},
    {"Gamma", "Γ"},    {"Delta", "Δ"},       {"Theta", "Θ"},      {"Lambda", "Λ"},
    {"Xi", "Ξ"},       {"Pi", "Π"},          {"Sigma", "Σ"},      {"Phi", "Φ"},
    {"Psi", "Ψ"},      {"Omega", "Ω"},       {"times", "×"},      {"cdot", "⋅"},
    {"div", "÷"},      {"pm", "±"},          {"leq", "≤"},        {"le", "≤"},
    {"geq", "≥"},      {"ge", "≥"},          {"neq", "≠"},        {"ne", "≠"},
    {"approx", "≈"},   {"sim", "~"},         {"equiv", "≡"},      {"propto", "∝"},
    {"infty", "∞"},    {"sum", "∑"},         {"prod", "∏"},       {"int", "∫"},
    {"partial", "∂"},  {"nabla", "∇"},       {"sqrt", "√"},       {"in", "∈"},
    {"notin", "∉"},    {"cup", "∪"},         {"cap", "∩"},        {"subset", "⊂"},
    {"subseteq", "⊆"}, {"emptyset", "∅"},    {"forall", "∀"},     {"exists", "∃"},
    {"neg", "¬"},      {"land", "∧"},        {"lor", "∨"},        {"therefore", "∴"},
    {"because", "∵"},  {"to", "→"},          {"rightarrow", "→"}, {"Rightarrow", "⇒"},
    {"implies", "⇒"},  {"iff", "⇔"},         {"leftarrow", "←"},  {"leftrightarrow", "↔"},
    {"mapsto", "→"},   {"degree", "°"},      {"circ", "°"},       {"percent", "%"},
    {"ldots", "..."},  {"cdots", "..."},     {"dots", "..."},     {"lt", "<"},
    {"gt", ">"},       {"mid", "|"},         {"sin", "sin"},      {"cos", "cos"},
    {"tan", "tan"},    {"log", "log"},       {"ln", "ln"},        {"exp", "exp"},
    {"lim", "lim"},    {"max", "max"},       {"min", "min"},      {"det", "det"},
    {"gcd", "gcd"},    {"frac", ""},         {"dfrac", ""},       {"tfrac", ""},
    {"text", ""},      {"mathrm", ""},       {"mathbf", ""},      {"mathbb", ""},
    {"mathcal", ""},   {"mathit", ""},       {"textbf", ""},      {"textit", ""},
    {"emph", ""},      {"operatorname", ""}, {"boxed", ""},       {"vec", ""},
    {"hat", ""},       {"bar", ""},          {"overline", ""},    {"left", ""},
    {"right", ""},     {"big", ""},          {"Big", ""},         {"displaystyle", ""},
    {"quad", " "},     {"qquad", " "},       {"begin", ""},       {"end", ""},
    {"label", ""},     {"limits", ""},
};

size_t latex_command(const char *s, size_t n, size_t at, const char **sign)
{
    size_t end = at + 1;
    while (end < n && scan_is_alpha(s[end]))
        end++;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strlen(commands[i].name) == end - at - 1 &&
            memcmp(commands[i].name, s + at + 1, end - at - 1) == 0) {
            *sign = commands[i].sign;
            return end - at;
        }
    return 0;
}

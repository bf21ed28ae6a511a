#include "model/import_parts.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "kernels/kern.h"

/* --- opening --- */

static int open_either(const struct import *m, const char *stem, struct checkpoint **ret,
                       struct err *e)
{
    static const char *const endings[] = {".pth", ".safetensors", ".safetensors.index.json"};
    char path[4096];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s%s", m->o->directory, stem, endings[i]);
        if (access(path, F_OK) == 0)
            return checkpoint_open(path, ret, e);
    }
    return err_set(e, ERR_NOT_FOUND, "%s has neither %s.pth nor %s.safetensors, whole or in parts",
                   m->o->directory, stem, stem);
}

static bool any_name(const struct checkpoint *c, const char *part)
{
    for (int i = 0; i < checkpoint_n(c); i++)
        if (strstr(checkpoint_at(c, i)->name, part))
            return true;
    return false;
}

static int open_yaml(struct import *m, struct err *e)
{
    char path[4096];
    yaml_parser_t parser;
    snprintf(path, sizeof path, "%s/modded_dac_vq.yaml", m->o->directory);
    FILE *f = fopen(path, "rb");
    if (!f)
        return 0; /* S1-mini's values hold */
    if (fseek(f, 0, SEEK_END) != 0 || ftell(f) > LIMIT_YAML_BYTES) {
        fclose(f);
        return err_set(e, ERR_LIMIT, "%s is over %d bytes", path, LIMIT_YAML_BYTES);
    }
    rewind(f);
    if (!yaml_parser_initialize(&parser)) {
        fclose(f);
        return err_set(e, ERR_MEMORY, "out of memory for %s", path);
    }
    yaml_parser_set_input_file(&parser, f);
    m->has_yaml = yaml_parser_load(&parser, &m->yaml);
    int rc = m->has_yaml
                 ? 0
                 : err_set(e, ERR_FORMAT, "%s: line %zu: %s", path, parser.problem_mark.line + 1,
                           parser.problem ? parser.problem : "not valid yaml");
    yaml_node_t *root = rc == 0 ? yaml_document_get_root_node(&m->yaml) : NULL;
    if (rc == 0 && !(root && root->type == YAML_MAPPING_NODE))
        rc = err_set(e, ERR_FORMAT, "%s: not names with values, as the codec's configuration is",
                     path);
    yaml_parser_delete(&parser);
    fclose(f);
    return rc;
}

/* What cannot be loaded later is refused now. */
static int check_vocab(const struct tokenizer_vocab *v, struct err *e)
{
    struct tokenizer *t;
    int rc = v->n_rank > 0 ? tokenizer_new(v, &t, e)
                           : err_set(e, ERR_FORMAT, "tokenizer.tiktoken has no tokens");
    if (rc == 0)
        tokenizer_free(t);
    return rc;
}

static int import_open(struct import *m, struct err *e)
{
    char path[4096], special[4096];
    json_error_t why;
    int rc;
    snprintf(path, sizeof path, "%s/config.json", m->o->directory);
    m->config = json_load_file(path, 0, &why);
    if (!json_is_object(m->config))
        return access(path, R_OK) < 0
                   ? err_set(e, ERR_NOT_FOUND,
                             "%s: %s; a checkpoint is a directory with config.json in it", path,
                             strerror(errno))
                   : err_set(e, ERR_FORMAT, "%s is not JSON: line %d: %s", path, why.line,
                             why.text);
    snprintf(path, sizeof path, "%s/tokenizer.tiktoken", m->o->directory);
    snprintf(special, sizeof special, "%s/special_tokens.json", m->o->directory);
    if ((rc = tokenizer_vocab_read(path, special, &m->vocab, e)) < 0 ||
        (rc = check_vocab(&m->vocab, e)) < 0 || (rc = open_either(m, "model", &m->lm, e)) < 0 ||
        (rc = open_either(m, "codec", &m->codec, e)) < 0 || (rc = open_yaml(m, e)) < 0)
        return rc;
    m->codec_prefix = any_name(m->codec, "generator.") ? "generator." : "";
    m->lm_prefix = checkpoint_find(m->lm, "embeddings.weight") ? "" : "model.";
    rc = import_spec_read(m, e);
    return rc < 0 ? rc : spec_check(&m->spec, e);
}

/* --- channels --- */

static struct import_step *step_of(void *import, const char *name)
{
    struct import *m = import;
    for (int i = 0; i < m->n_plan; i++)
        if (!strcmp(m->plan[i].name, name))
            return &m->plan[i];
    return NULL;
}

static bool equalize_shape(void *import, const char *name, int64_t ne[3])
{
    const struct import_step *s = step_of(import, name);
    if (s)
        memcpy(ne, s->ne, sizeof s->ne);
    return s != NULL;
}

static int equalize_read(void *import, const char *name, float *out, struct err *e)
{
    const struct import_step *s = step_of(import, name);
    float *v;
    int rc = import_step_read(import, s, &v, e);
    if (rc < 0)
        return rc;
    memcpy(out, v, (size_t)(s->ne[0] * s->ne[1] * s->ne[2]) * sizeof *out);
    mem_free(v);
    return 0;
}

static int import_equalize(struct import *m, struct err *e)
{
    const struct equalize_tensors t = {m, equalize_shape, equalize_read};
    return m->o->equalize ? equalize_new(&m->spec, &t, NULL, &m->equalize, e) : 0;
}

/* --- all together --- */

/* What a user might not expect. */
static void import_say(const struct import *m)
{
    const struct import_step *head = step_of((void *)(uintptr_t)m, "output.weight");
    char line[256];
    int n, kept = head ? (int)head->ne[1] : 0;
    if (!m->o->note)
        return;
    if (head && kept < m->spec.lm.n_vocab) {
        double bytes = (double)kern_type_row_bytes((enum kern_type)head->type, 32) / 32;
        snprintf(line, sizeof line,
                 "output matrix: %d of %d rows kept, %.0f MB less: nothing but semantic tokens and "
                 "<|im_end|> is generated",
                 kept, m->spec.lm.n_vocab,
                 (double)(m->spec.lm.n_vocab - kept) * (double)head->ne[0] * bytes / 1e6);
        m->o->note(m->o->cookie, line);
    }
    if (m->equalize) {
        double largest = equalize_largest(m->equalize, &n);
        snprintf(line, sizeof line, "channels: %d matrices equalized, by factors up to %.0f", n,
                 largest);
        m->o->note(m->o->cookie, line);
    }
}

static int write_all(struct import *m, struct gguf_writer *w, struct err *e)
{
    int rc = 0;
    for (int i = 0; i < m->n_plan && rc == 0; i++) {
        struct import_step *s = &m->plan[i];
        if ((rc = import_step_shape(m, s, e)) == 0)
            rc = gguf_writer_tensor(w, s->name, s->type, s->n_dim, s->ne, e);
        m->n_value += (double)(s->ne[0] * s->ne[1] * s->ne[2]);
    }
    if (rc == 0)
        rc = import_equalize(m, e);
    if (rc == 0)
        import_say(m);
    if (rc == 0)
        rc = gguf_writer_begin(w, e);
    for (int i = 0; i < m->n_plan && rc == 0; i++)
        rc = import_step_write(m, w, &m->plan[i], e);
    return rc < 0 ? rc : gguf_writer_finish(w, e);
}

static int write_model(struct import *m, struct err *e)
{
    const char *slash = strrchr(m->o->directory, '/');
    const char *name = m->o->name ? m->o->name : slash && slash[1] ? slash + 1 : m->o->directory;
    struct gguf_writer *w;
    int rc = gguf_writer_new(m->o->output, &w, e);
    if (rc < 0)
        return rc;
    spec_write(&m->spec, w);
    gguf_put_string(w, "general.name", name, strlen(name));
    if (m->o->version)
        gguf_put_string(w, "general.version", m->o->version, strlen(m->o->version));
    tokenizer_write(&m->vocab, w);
    if ((rc = import_put_voices(m, w, e)) == 0 && (rc = import_put_aliases(m, w, e)) == 0)
        rc = write_all(m, w, e);
    gguf_writer_free(w);
    return rc;
}

static void import_done(struct import *m)
{
    json_decref(m->config);
    if (m->has_yaml)
        yaml_document_delete(&m->yaml);
    tokenizer_vocab_done(&m->vocab);
    checkpoint_close(m->lm);
    checkpoint_close(m->codec);
    equalize_free(m->equalize);
    mem_free(m->plan);
}

int import_convert(const struct import_options *o, struct err *e)
{
    struct import m = {.o = o, .plan = mem_try(IMPORT_MAX_PLAN, sizeof *m.plan)};
    struct spec_sampling *s = &m.spec.sampling;
    int rc = m.plan ? import_open(&m, e) : err_set(e, ERR_MEMORY, "out of memory for an import");
    m.spec.codec.gain_db = o->gain_db;
    s->temperature = o->sampling.temperature >= 0 ? o->sampling.temperature : 0.8f;
    s->top_p = o->sampling.top_p >= 0 ? o->sampling.top_p : 0.8f;
    s->repetition_penalty =
        o->sampling.repetition_penalty >= 0 ? o->sampling.repetition_penalty : 1.1f;
    if (rc == 0 && (rc = import_plan(&m, e)) == 0)
        rc = write_model(&m, e);
    import_done(&m);
    return rc;
}

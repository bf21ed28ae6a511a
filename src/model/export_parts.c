/* Steps that most graphs take. */
#include "model/export_parts.h"

#include <limits.h>

const char *export_reshape(struct export *x, const char *in, int n, const int64_t *dims)
{
    return onnx_node(x->g, "Reshape", 2, in, onnx_list(x->g, n, dims));
}

const char *export_transpose(struct export *x, const char *in, int n, const int64_t *perm)
{
    const char *out = onnx_node(x->g, "Transpose", 1, in);
    onnx_ints(x->g, "perm", n, perm);
    return out;
}

const char *export_scale(struct export *x, const char *in, double by)
{
    return onnx_node(x->g, "Mul", 2, in, onnx_scalar(x->g, ONNX_FLOAT, by));
}

const char *export_slice(struct export *x, const char *in, int axis, int64_t from, int64_t to)
{
    int64_t a = axis;
    return onnx_node(x->g, "Slice", 4, in, onnx_list(x->g, 1, &from), onnx_list(x->g, 1, &to),
                     onnx_list(x->g, 1, &a));
}

const char *export_concat(struct export *x, const char *a, const char *b, int axis)
{
    const char *out = onnx_node(x->g, "Concat", 2, a, b);
    onnx_int(x->g, "axis", axis);
    return out;
}

const char *export_dim(struct export *x, const char *in, int axis)
{
    const char *shape = onnx_node(x->g, "Shape", 1, in);
    return onnx_node(x->g, "Gather", 2, shape, onnx_scalar(x->g, ONNX_INT64, axis));
}

const char *export_range(struct export *x, const char *from, const char *to)
{
    return onnx_node(x->g, "Range", 3, from, to, onnx_scalar(x->g, ONNX_INT64, 1));
}

const char *export_unsqueeze(struct export *x, const char *in, int n, const int64_t *axes)
{
    return onnx_node(x->g, "Unsqueeze", 2, in, onnx_list(x->g, n, axes));
}

const char *export_clip(struct export *x, const char *in, int max)
{
    return onnx_node(x->g, "Clip", 3, in, onnx_scalar(x->g, ONNX_INT32, 0),
                     onnx_scalar(x->g, ONNX_INT32, max));
}

/* in / sqrt(mean(in^2) + eps) * w over the last dimension. */
const char *export_rms_norm(struct export *x, const char *in, const char *what, int n, float eps)
{
    struct onnx *g = x->g;
    const char *square = onnx_node(g, "Mul", 2, in, in);
    const char *mean = onnx_node(g, "ReduceMean", 1, square);
    onnx_ints(g, "axes", 1, (const int64_t[]){-1});
    const char *root = onnx_node(
        g, "Sqrt", 1, onnx_node(g, "Add", 2, mean, onnx_scalar(g, ONNX_FLOAT, (double)eps)));
    return onnx_node(g, "Mul", 2, onnx_node(g, "Div", 2, in, root), export_vector(x, what, n));
}

const char *export_mask(struct export *x, const char *mask)
{
    return onnx_node(x->g, "Where", 3, mask, onnx_scalar(x->g, ONNX_FLOAT, 0),
                     onnx_scalar(x->g, ONNX_FLOAT, -EXPORT_FAR));
}

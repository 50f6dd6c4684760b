"""Writes cases with onnxruntime's answers, in the layout of the onnx package's backend tests.

    compare.py DIRECTORY

The package's cases are small numbers and single forms. These are what it does not ask: whole ranges
of integers, quantised operators of com.microsoft, old operator sets, unusual recurrent layers.
"""

import itertools
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

out = pathlib.Path(sys.argv[1])
types = {
    "int8": np.int8, "int16": np.int16, "int32": np.int32, "int64": np.int64,
    "uint8": np.uint8, "uint16": np.uint16, "uint32": np.uint32, "uint64": np.uint64,
}
tp = {name: getattr(T, name.upper()) for name in types}
skipped = []


def case(name, nodes, inputs, stored=(), kind=None, opset=17, output="y"):
    """One case; what onnxruntime does not run is none."""
    graph = h.make_graph(
        nodes, "g",
        [h.make_tensor_value_info(n, nh.from_array(v).data_type, list(v.shape)) for n, v in inputs],
        [h.make_tensor_value_info(output, kind, None)],
        [nh.from_array(v, n) for n, v in stored],
    )
    sets = [h.make_opsetid("", opset), h.make_opsetid("com.microsoft", 1)]
    model = h.make_model(graph, opset_imports=sets, ir_version=8)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        answers = session.run(None, dict(inputs))
    except Exception:
        skipped.append(name)
        return
    place = out / name / "test_data_set_0"
    place.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(out / name / "model.onnx"))
    for index, (n, v) in enumerate(inputs):
        (place / f"input_{index}.pb").write_bytes(nh.from_array(v, n).SerializeToString())
    for index, v in enumerate(answers):
        (place / f"output_{index}.pb").write_bytes(nh.from_array(v, "y").SerializeToString())


def vals(d):
    i=np.iinfo(d)
    big=[i.max,i.min,i.max//2+1,i.max//3,5,7,1,2,3]
    return np.array(big,dtype=d)
for k,d in types.items():
    v=vals(d)
    for op in ['Add','Sub','Mul','Div','Mod','Max','Min','BitwiseAnd','BitwiseOr','BitwiseXor','Pow']:
        a,b=np.meshgrid(v,v); a=a.ravel(); b=b.ravel()
        if op in('Add','Sub','Pow','Mod'):
            # Sums that leave their type wrap around in a release build, and panic in this one.
            exact=np.array([{'Add':int(x)+int(y),'Sub':int(x)-int(y),'Pow':int(x)**(abs(int(y))%4),'Mod':int(x)}[op] for x,y in zip(a,b)],dtype=object)
            keep=np.array([np.iinfo(d).min<=e<=np.iinfo(d).max for e in exact]); 
            if op=='Pow': keep&=np.array([abs(int(x))<2**53 and abs(e)<2**53 for x,e in zip(a,exact)])  # onnxruntime goes by doubles
            if op=='Mod': keep&=(a>=0)&(b>0)&(b<np.iinfo(d).max//4)&(a<np.iinfo(d).max//2)
            a,b=a[keep],b[keep]
        if op in('Div','Mod'):
            keep=(b!=0)&~((a==np.iinfo(d).min)&(b==d(-1) if np.iinfo(d).min<0 else False)); a,b=a[keep],b[keep]
        if op=='Pow': b=np.abs(b)%4
        for c in (False,True):
            case(f'{op}_{k}_{"const" if c else "both"}',[h.make_node(op,['a','b'],['y'])],[('a',a)] + ([] if c else [('b',b.astype(d))]),[('b',b.astype(d))] if c else [],tp[k],18)
    for op in ['Equal','Less','Greater','LessOrEqual','GreaterOrEqual']:
        a,b=np.meshgrid(v,v)
        case(f'{op}_{k}',[h.make_node(op,['a','b'],['y'])],[('a',a.ravel()),('b',b.ravel())],[],T.BOOL)
    for op in ['Neg','Abs','Sign','Relu','BitwiseNot']:
        case(f'{op}_{k}',[h.make_node(op,['a'],['y'])],[('a',v[v!=np.iinfo(d).min] if np.iinfo(d).min<0 else v)],[],tp[k],18)
    for op in ['ReduceSum','ReduceProd','ReduceMax','ReduceMin','ReduceMean','ReduceSumSquare','ReduceL1','ReduceL2']:
        w=v if op in('ReduceMax','ReduceMin') else np.array([1,2,3,4,5,6,7,8,9],d)
        case(f'{op}_{k}',[h.make_node(op,['a'],['y'],keepdims=0,**({} if op=='ReduceSum' else {'axes':[1]}))],[('a',w.reshape(3,3))],[],tp[k],17)
    for op in ['ArgMax','ArgMin']:
        case(f'{op}_{k}',[h.make_node(op,['a'],['y'],axis=1)],[('a',v.reshape(3,3))],[],T.INT64)
    for k2,d2 in {**types,'float':np.float32,'double':np.float64,'bool':np.bool_}.items():
        t2={**tp,'float':T.FLOAT,'double':T.DOUBLE,'bool':T.BOOL}[k2]
        case(f'Cast_{k}_{k2}',[h.make_node('Cast',['a'],['y'],to=t2)],[('a',v)],[],t2)
    case(f'MatMul_{k}',[h.make_node('MatMul',['a','b'],['y'])],[('a',v.reshape(3,3)),('b',v.reshape(3,3)[::-1].copy())],[],tp[k])
    case(f'CumSum_{k}',[h.make_node('CumSum',['a','x'],['y'])],[('a',np.arange(9).astype(d))],[('x',np.int64(0).reshape(()))],tp[k])
    case(f'Clip_{k}',[h.make_node('Clip',['a','l','h'],['y'])],[('a',v)],[('l',np.array(2,d)),('h',np.array(6,d))],tp[k])
    case(f'TopK_{k}',[h.make_node('TopK',['a','k'],['y','i'])],[('a',v)],[('k',np.array([3],np.int64))],tp[k])
    case(f'Where_{k}',[h.make_node('Where',['c','a','b'],['y'])],[('c',np.arange(9)%2==0),('a',v),('b',v[::-1].copy())],[],tp[k])
    case(f'MaxPool_{k}',[h.make_node('MaxPool',['a'],['y'],kernel_shape=[2,2])],[('a',v.reshape(1,1,3,3))],[],tp[k])
    for sh in ('LEFT','RIGHT'):
        case(f'BitShift_{sh}_{k}',[h.make_node('BitShift',['a','b'],['y'],direction=sh)],[('a',v),('b',np.array([0,1,2,3,4,5,6,7,1],d))],[],tp[k])
f=np.array([0.5,1.5,2.5,-0.5,-1.5,-2.5,3.7,-3.7,255.5,1e9,-1e9,0.0],np.float32)
for k,d in types.items():
    case(f'Cast_float_{k}',[h.make_node('Cast',['a'],['y'],to=tp[k])],[('a',np.abs(f[:8]) if k.startswith('u') else f[:8])],[],tp[k])
case('Round',[h.make_node('Round',['a'],['y'])],[('a',f)],[],T.FLOAT)
for fm in (0,1):
    case(f'Mod_float_{fm}',[h.make_node('Mod',['a','b'],['y'],fmod=1)],[('a',f),('b',np.full(12,1.3,np.float32))],[],T.FLOAT)
x=(np.arange(-60,60,dtype=np.float32)*0.15).reshape(3,40)
for z,zd in (('uint8',np.uint8),('int8',np.int8)):
    for axis in (None,0):
        sc=np.float32(0.3) if axis is None else np.array([0.3,0.1,0.7],np.float32); zp=np.array(3,zd) if axis is None else np.array([3,1,0],zd)
        kw={} if axis is None else {'axis':0}
        case(f'Quantize_{z}_{axis}',[h.make_node('QuantizeLinear',['a','s','z'],['y'],**kw)],[('a',x)],[('s',np.array(sc)),('z',zp)],tp[z])
        case(f'Dequantize_{z}_{axis}',[h.make_node('DequantizeLinear',['a','s','z'],['y'],**kw)],[('a',(np.arange(120)%256).astype(zd).reshape(3,40))],[('s',np.array(sc)),('z',zp)],T.FLOAT)
case('DynQuant',[h.make_node('DynamicQuantizeLinear',['a'],['y','s','z'])],[('a',x)],[],T.UINT8)
rng=np.random.default_rng(0)
for at,bt in itertools.product((np.uint8,np.int8),repeat=2):
    A=rng.integers(np.iinfo(at).min,np.iinfo(at).max,(5,16),dtype=at); B=rng.integers(np.iinfo(bt).min,np.iinfo(bt).max,(16,7),dtype=bt)
    n=f'{at.__name__}_{bt.__name__}'
    case(f'MatMulInteger_{n}',[h.make_node('MatMulInteger',['a','b','za','zb'],['y'])],[('a',A)],[('b',B),('za',np.array(3,at)),('zb',np.array(1,bt))],T.INT32)
    case(f'QLinearMatMul_{n}',[h.make_node('QLinearMatMul',['a','sa','za','b','sb','zb','sy','zy'],['y'])],[('a',A)],[('sa',np.array(0.02,np.float32)),('za',np.array(3,at)),('b',B),('sb',np.array(0.01,np.float32)),('zb',np.array(1,bt)),('sy',np.array(0.3,np.float32)),('zy',np.array(5,at))],T.INT8 if at==np.int8 else T.UINT8)
    X=rng.integers(np.iinfo(at).min,np.iinfo(at).max,(1,3,6,6),dtype=at); W=rng.integers(np.iinfo(bt).min,np.iinfo(bt).max,(4,3,3,3),dtype=bt)
    case(f'ConvInteger_{n}',[h.make_node('ConvInteger',['a','b','za','zb'],['y'],pads=[1,1,1,1])],[('a',X)],[('b',W),('za',np.array(3,at)),('zb',np.array(0,bt))],T.INT32)
    for pc in (0,1):
        sw=np.array([0.01,0.02,0.03,0.005],np.float32) if pc else np.array(0.01,np.float32); zw=np.zeros(4,bt) if pc else np.array(0,bt)
        case(f'QLinearConv_{n}_{pc}',[h.make_node('QLinearConv',['a','sa','za','w','sw','zw','sy','zy','bias'],['y'],pads=[1,1,1,1])],[('a',X)],[('sa',np.array(0.02,np.float32)),('za',np.array(3,at)),('w',W),('sw',sw),('zw',zw),('sy',np.array(0.3,np.float32)),('zy',np.array(5,at)),('bias',np.array([10,-20,300,5],np.int32))],T.INT8 if at==np.int8 else T.UINT8)
rng=np.random.default_rng(1); f=lambda v:np.array(v,np.float32)
ms=dict(domain='com.microsoft')
for t,d in (('u8',np.uint8),('s8',np.int8)):
    k=T.UINT8 if d==np.uint8 else T.INT8; i=np.iinfo(d); z=lambda v:np.array(v,d)
    A=rng.integers(i.min,i.max,(1,3,8,8),dtype=d); B=rng.integers(i.min,i.max,(1,3,8,8),dtype=d)
    st=[('sa',f(.02)),('za',z(3)),('sb',f(.05)),('zb',z(7)),('sc',f(.06)),('zc',z(5))]
    for op in ('QLinearAdd','QLinearMul'):
        case(f'{op}_{t}',[h.make_node(op,['a','sa','za','b','sb','zb','sc','zc'],['y'],**ms)],[('a',A),('b',B)],st,k)
        case(f'{op}_{t}_const',[h.make_node(op,['a','sa','za','b','sb','zb','sc','zc'],['y'],**ms)],[('a',A)],st+[('b',B[:, :, :1, :1].copy())],k)
    case(f'QLinearGlobalAveragePool_{t}',[h.make_node('QLinearGlobalAveragePool',['a','sa','za','sc','zc'],['y'],channels_last=0,**ms)],[('a',A)],st[:2]+st[4:],k)
    case(f'QLinearAveragePool_{t}',[h.make_node('QLinearAveragePool',['a','sa','za','sc','zc'],['y'],kernel_shape=[2,2],strides=[2,2],**ms)],[('a',A)],st[:2]+st[4:],k)
    case(f'QLinearLeakyRelu_{t}',[h.make_node('QLinearLeakyRelu',['a','sa','za','sc','zc'],['y'],alpha=.1,**ms)],[('a',A)],st[:2]+st[4:],k)
    case(f'QLinearSigmoid_{t}',[h.make_node('QLinearSigmoid',['a','sa','za','sc','zc'],['y'],**ms)],[('a',A)],st[:2]+[('sc',f(1/256)),('zc',z(0))],k)
    case(f'QLinearConcat_{t}',[h.make_node('QLinearConcat',['sc','zc','a','sa','za','b','sb','zb'],['y'],axis=1,**ms)],[('a',A),('b',B)],st,k)
    X=rng.integers(i.min,i.max,(4,16),dtype=d); W=rng.integers(-127,127,(16,6),dtype=np.int8)
    for tb in (0,1):
        for pc in (0,1):
            w=W.T.copy() if tb else W; sw=f([.01,.02,.03,.01,.005,.02]) if pc else f(.01); zw=np.zeros(6,np.int8) if pc else np.array(0,np.int8)
            case(f'QGemm_{t}_{tb}_{pc}',[h.make_node('QGemm',['a','sa','za','w','sw','zw','c','sc','zc'],['y'],transB=tb,**ms)],[('a',X)],st[:2]+st[4:]+[('w',w),('sw',sw),('zw',zw),('c',np.arange(6,dtype=np.int32)*100)],k)
    case(f'QGemm_float_{t}',[h.make_node('QGemm',['a','sa','za','w','sw','zw','c'],['y'],**ms)],[('a',X)],st[:2]+[('w',W),('sw',f(.01)),('zw',np.array(0,np.int8)),('c',np.arange(6,dtype=np.int32)*100)],T.FLOAT)
XF=rng.normal(size=(4,16)).astype(np.float32); W=rng.integers(-127,127,(16,6),dtype=np.int8)
case('DynamicQuantizeMatMul',[h.make_node('DynamicQuantizeMatMul',['a','w','sw','zw','c'],['y'],**ms)],[('a',XF)],[('w',W),('sw',f(.01)),('zw',np.array(0,np.int8)),('c',np.arange(6,dtype=np.float32))],T.FLOAT)
case('MatMulIntegerToFloat',[h.make_node('MatMulIntegerToFloat',['a','w','sa','sw','za','zw','c'],['y'],**ms)],[('a',rng.integers(0,255,(4,16),dtype=np.uint8))],[('w',W),('sa',f(.02)),('sw',f(.01)),('za',np.array(3,np.uint8)),('zw',np.array(0,np.int8)),('c',np.arange(6,dtype=np.float32))],T.FLOAT)
case('FusedMatMul',[h.make_node('FusedMatMul',['a','w'],['y'],alpha=.5,**ms)],[('a',XF)],[('w',W.astype(np.float32))],T.FLOAT)
I=rng.normal(size=(1,2,4,5)).astype(np.float32)
for ops in (7,9):
    for mode in ('nearest','linear'):
        for sc in ([1,1,2,2],[1,1,3,3]):
            n=h.make_node('Upsample',['a'],['y'],mode=mode,scales=[float(v) for v in sc]) if ops==7 else h.make_node('Upsample',['a','s'],['y'],mode=mode)
            case(f'Upsample_{ops}_{mode}_{sc[2]}',[n],[('a',I)],[] if ops==7 else [('s',f(sc))],T.FLOAT,ops)
for mode in ('nearest','linear'):
    for sc in ([1,1,2,2],[1,1,3,3],[1,1,.5,.5]):
        case(f'Resize_10_{mode}_{sc[2]}',[h.make_node('Resize',['a','s'],['y'],mode=mode)],[('a',I)],[('s',f(sc))],T.FLOAT,10)
        for v in (11,13):
            case(f'Resize_{v}_{mode}_{sc[2]}',[h.make_node('Resize',['a','','s'],['y'],mode=mode)],[('a',I)],[('s',f(sc))],T.FLOAT,v)
        case(f'Resize_11_sizes_{mode}_{sc[2]}',[h.make_node('Resize',['a','','','s'],['y'],mode=mode)],[('a',I)],[('s',np.array([1,2,int(4*sc[2]),int(5*sc[2])],np.int64))],T.FLOAT,11)
H=rng.normal(size=(4,16)).astype(np.float16)
for c in (0,1):
  for al in (1.,.5):
    case(f'Gemm_f16_{c}_{al}',[h.make_node('Gemm',['a','w']+(['c'] if c else []),['y'],alpha=al,beta=2.,transB=1)],[('a',H)],[('w',rng.normal(size=(6,16)).astype(np.float16))]+([('c',rng.normal(size=(6,)).astype(np.float16))] if c else []),T.FLOAT16)
for kind,gates,acts in (('LSTM',4,3),('GRU',3,2),('RNN',1,1)):
    Xs=rng.normal(size=(5,2,3)).astype(np.float32); Wr=rng.normal(size=(1,gates*4,3)).astype(np.float32); R=rng.normal(size=(1,gates*4,4)).astype(np.float32)
    for n,kw in (('plain',{}),('clip',dict(clip=.5)),('relu',dict(activations=['Relu']*acts)),('default',dict(activations=['Sigmoid','Tanh','Tanh'][:acts] if acts>1 else ['Tanh']))):
        case(f'{kind}_{n}',[h.make_node(kind,['a','w','r'],['y'],hidden_size=4,**kw)],[('a',Xs)],[('w',Wr),('r',R)],T.FLOAT)
    case(f'{kind}_lens',[h.make_node(kind,['a','w','r','','l'],['y'],hidden_size=4)],[('a',Xs),('l',np.array([5,3],np.int32))],[('w',Wr),('r',R)],T.FLOAT)
# Recurrent layers in every form that onnxruntime runs: ways, lengths, functions, bounds, states.
WAYS = ("forward", "reverse", "bidirectional")
for kind, gates, functions in (("LSTM", 4, 3), ("GRU", 3, 2), ("RNN", 1, 1)):
    for way, lens, more in itertools.product(WAYS, ("all", "short", "none"), ("plain", "states", "odd")):
        steps, batch, width, hidden, d = 5, 3, 6, 4, 2 if way == "bidirectional" else 1
        r = np.random.default_rng(gates)
        normal = lambda *shape: r.normal(size=shape).astype(np.float32)
        stored = [("w", normal(d, gates * hidden, width)), ("r", normal(d, gates * hidden, hidden))]
        names, inputs, extra = ["a", "w", "r", "", "", "", "", ""], [("a", normal(steps, batch, width))], {}
        if lens != "all":
            names[4] = "l"
            inputs.append(("l", np.array([5, 2, 3] if lens == "short" else [5, 0, 1], np.int32)))
        if more != "plain":
            stored += [("b", normal(d, 2 * gates * hidden)), ("h", normal(d, batch, hidden))]
            names[3], names[5] = "b", "h"
            if kind == "LSTM":
                stored += [("c", normal(d, batch, hidden)), ("p", normal(d, 3 * hidden))]
                names[6], names[7] = "c", "p"
        if more == "odd":
            odd = {1: ["Elu"], 2: ["HardSigmoid", "LeakyRelu"], 3: ["HardSigmoid", "ScaledTanh", "Softsign"]}[functions]
            extra = dict(activations=odd * d, clip=0.7)
            if kind == "LSTM":  # what they are without is not told by the specification
                extra.update(activation_alpha=[0.3, 1.2] * d, activation_beta=[0.4, 0.8] * d)
            if kind == "GRU":
                extra["linear_before_reset"] = 1
            if kind == "LSTM":
                extra["input_forget"] = 1
        while names[-1] == "":
            names.pop()
        made = ["y", "y_h"] + (["y_c"] if kind == "LSTM" else [])
        for output in made:
            if more != "plain" or output == "y":
                case(f"{kind}_{way}_{lens}_{more}_{output}", [h.make_node(kind, names, made, hidden_size=hidden, direction=way, **extra)], inputs, stored, T.FLOAT, 17, output)
for way, each, signed, lens in itertools.product(WAYS, (0, 1), (np.int8, np.uint8), (0, 1)):
    d, steps, batch, width, hidden = 2 if way == "bidirectional" else 1, 7, 1, 10, 8
    r = np.random.default_rng(5)
    i = np.iinfo(signed)
    weights = lambda inner: r.integers(i.min, i.max, (d, inner, 4 * hidden), dtype=signed)
    zero = 0 if signed == np.int8 else 128
    scale = lambda: np.abs(r.normal(size=(d, 4 * hidden) if each else (d,))).astype(np.float32) * np.float32(0.005)
    zeros = lambda: np.full((d, 4 * hidden) if each else (d,), zero, signed)
    stored = [("w", weights(width)), ("r", weights(hidden)), ("b", r.normal(size=(d, 8 * hidden)).astype(np.float32)), ("ws", scale()), ("wz", zeros()), ("rs", scale()), ("rz", zeros())]
    inputs = [("a", r.normal(size=(steps, batch, width)).astype(np.float32))] + ([("l", np.array([4], np.int32))] if lens else [])
    node = h.make_node("DynamicQuantizeLSTM", ["a", "w", "r", "b", "l" if lens else "", "", "", "", "ws", "wz", "rs", "rz"], ["y"], hidden_size=hidden, direction=way, **ms)
    case(f"DynamicQuantizeLSTM_{way}_{each}_{signed.__name__}_{lens}", [node], inputs, stored, T.FLOAT)
# Loops: counted, while a condition holds, both; values carried, grown and gathered; weights and
# values from outside; a loop in a loop.
def body(nodes, made, stored=(), carried=("v",), shape=None):
    info = h.make_tensor_value_info
    values = [info("i", T.INT64, []), info("c", T.BOOL, [])] + [info(n, T.FLOAT, shape) for n in carried]
    ends = [info("go", T.BOOL, [])] + [info(n, T.FLOAT, None) for n in made]
    return h.make_graph(nodes, "body", values, ends, [nh.from_array(v, n) for n, v in stored])


n, F32 = h.make_node, lambda *v: np.array(v, np.float32)
go, step = n("Identity", ["c"], ["go"]), n("Add", ["v", "one"], ["w"])
small = n("ReduceSum", ["w"], ["s"], keepdims=0), n("Less", ["s", "top"], ["go"])
one, top, x = ("one", F32(1)), ("top", np.float32(9)), ("x", F32(0.5, -1, 2))
times = lambda v: ("m", np.array(v, np.int64))
yes = ("yes", np.array(True))
bodies = {
    "counted": (body([go, step], ["w"], [one]), ["m", "", "x"], ["y"], [times(4)], []),
    "counted_0": (body([go, step], ["w"], [one]), ["m", "", "x"], ["y"], [times(0)], []),
    "gathered": (body([go, step, n("Mul", ["w", "w"], ["q"])], ["w", "q"], [one]), ["m", "", "x"], ["end", "y"], [times(4)], []),
    "while": (body([step, *small], ["w"], [one, top]), ["", "yes", "x"], ["y"], [], [yes]),
    "while_gathered": (body([step, *small, n("Identity", ["w"], ["q"])], ["w", "q"], [one, top]), ["", "yes", "x"], ["end", "y"], [], [yes]),
    "both": (body([step, *small, n("Identity", ["w"], ["q"])], ["w", "q"], [one, top]), ["m", "yes", "x"], ["end", "y"], [times(2)], [yes]),
    "never": (body([step, *small, n("Identity", ["w"], ["q"])], ["w", "q"], [one, top]), ["m", "no", "x"], ["y", "q"], [times(2)], [("no", np.array(False))]),
    "round": (body([go, n("Cast", ["i"], ["f"], to=T.FLOAT), n("Add", ["v", "f"], ["w"])], ["w"]), ["m", "", "x"], ["y"], [times(5)], []),
    "grown": (body([go, n("Concat", ["v", "one"], ["w"], axis=0)], ["w"], [one]), ["m", "", "x"], ["y"], [times(3)], []),
    "weights": (body([go, n("MatMul", ["v", "weights"], ["z"]), n("Tanh", ["z"], ["w"])], ["w"]), ["m", "", "x"], ["y"], [times(3)], [("weights", np.eye(3, dtype=np.float32)[::-1].copy() / 2)]),
    "outside": (body([go, n("Add", ["v", "x"], ["w"])], ["w"]), ["m", "", "x"], ["y"], [times(3)], []),
    "two_carried": (body([go, n("Add", ["v", "u"], ["w"]), n("Identity", ["v"], ["t"])], ["w", "t"], carried=("v", "u")), ["m", "", "x", "x"], ["y", "end"], [times(6)], []),
    "slices": (body([go, n("Gather", ["x", "i"], ["e"]), n("Add", ["v", "e"], ["w"]), n("Identity", ["e"], ["q"])], ["w", "q"]), ["m", "", "x"], ["end", "y"], [times(3)], []),
}
inner = body([n("Identity", ["c2"], ["go2"]), n("Add", ["v2", "one"], ["w2"])], ["w2"], [one])
for info, name in zip((*inner.input, *inner.output), ("i2", "c2", "v2", "go2", "w2")):
    info.name = name
bodies["nested"] = (body([go, n("Loop", ["three", "", "v"], ["w"], body=inner)], ["w"], [("three", np.array(3, np.int64))]), ["m", "", "x"], ["y"], [times(2)], [])
for name, (graph, names, made, dynamic, stored) in bodies.items():
    for known in (False, True):
        if known and dynamic:
            inputs, more = [x], dynamic
        elif not known:
            inputs, more = [x, *dynamic], []
        else:
            continue
        case(f"Loop_{name}_{'known' if known else 'given'}", [n("Loop", names, made, body=graph)], inputs, [*stored, *more], T.FLOAT, 17)
# Branches by a value of a long input, so that no plan can have it built in: results that differ in
# an extent and in the number of axes, what follows from them, an `If` in an `If`, and a branch that
# makes no sense of the sizes and is not taken.
def branch(nodes, made, stored=(), kind=T.FLOAT):
    ends = [h.make_tensor_value_info(m, kind, None) for m in made]
    return h.make_graph(nodes, "branch", [], ends, [nh.from_array(v, m) for m, v in stored])


I64 = lambda *v: np.array(v, np.int64)
ways = {
    "values": (branch([n("Add", ["a", "a"], ["p"])], ["p"]), branch([n("Neg", ["a"], ["q"])], ["q"]), []),
    "extents": (branch([n("Slice", ["a", "zero", "three"], ["p"])], ["p"]), branch([n("Concat", ["a", "a"], ["q"], axis=0)], ["q"]), []),
    "axes": (branch([n("Unsqueeze", ["a", "zero"], ["p"])], ["p"]), branch([n("Identity", ["a"], ["q"])], ["q"]), [n("Unsqueeze", ["r", "last"], ["u"]), n("ReduceSum", ["u"], ["v"], keepdims=0), n("Shape", ["u"], ["s"]), n("Expand", ["v", "s"], ["w"])]),
    "unfit": (branch([n("Reshape", ["a", "wrong"], ["p"])], ["p"]), branch([n("Identity", ["a"], ["q"])], ["q"]), []),
    "shapes": (branch([n("Shape", ["a"], ["p"])], ["p"], kind=T.INT64), branch([n("Identity", ["wrong"], ["q"])], ["q"], kind=T.INT64), [n("Cast", ["r"], ["w"], to=T.FLOAT)]),
}
known = [("zero", I64(0)), ("three", I64(3)), ("last", I64(-1)), ("wrong", I64(3, 7)), ("half", np.float32(0.5))]
for name, (first, second, after) in ways.items():
    for holds in ([True, False] if name != "unfit" else [False]):
        a = (np.arange(100) + (1 if holds else -200)).astype(np.float32)
        nodes = [n("ReduceMean", ["a"], ["mean"], keepdims=0), n("Greater", ["mean", "half"], ["c"]), n("If", ["c"], ["r"], then_branch=first, else_branch=second), *after]
        last = "w" if after else "r"
        case(f"If_{name}_{holds}", [*nodes, n("Mul", [last, "half"], ["y"])], [("a", a)], known, T.FLOAT, 17)
        # The same inside of a branch of another one.
        outer = branch([*nodes, n("Mul", [last, "half"], ["o"])], ["o"])
        other = branch([n("Identity", ["a"], ["i"])], ["i"])
        again = [n("ReduceMax", ["a"], ["most"], keepdims=0), n("Less", ["most", "far"], ["d"]), n("If", ["d"], ["y"], then_branch=outer, else_branch=other)]
        case(f"If_{name}_{holds}_inside", again, [("a", a)], [*known, ("far", np.float32(1e4))], T.FLOAT, 17)
# Words and numbers in sequence, texts in one case, regions of images, sequences turned about.
words = np.array([["a", "b", "c", "a"], ["b", "c", "a", "b"], ["x", "a", "b", "x"]])
grams = dict(ngram_counts=[0, 3], ngram_indexes=[4, 0, 2, 1, 3], pool_strings=["a", "b", "c", "a", "b", "b", "c"], weights=[0.5, 2.0, 3.0, 5.0, 7.0])
for mode in ("TF", "IDF", "TFIDF"):
    for least, most, gap in ((1, 1, 0), (1, 2, 0), (2, 2, 2), (1, 2, 1)):
        node = n("TfIdfVectorizer", ["a"], ["y"], mode=mode, min_gram_length=least, max_gram_length=most, max_skip_count=gap, **grams)
        case(f"TfIdfVectorizer_{mode}_{least}_{most}_{gap}", [node], [("a", words)], [], T.FLOAT)
texts = np.array(["Stop", "the", "straße", "THE", "Ärger", "other"])
for action in ("LOWER", "UPPER", "NONE"):
    for strict in (0, 1):
        node = n("StringNormalizer", ["a"], ["y"], case_change_action=action, is_case_sensitive=strict, stopwords=["the", "other"], locale="C.UTF-8")
        case(f"StringNormalizer_{action}_{strict}", [node], [("a", texts)], [], T.STRING)
image = np.arange(2 * 3 * 7 * 9, dtype=np.float32).reshape(2, 3, 7, 9) % 17
rois = F32([0, 0, 4, 4], [1.5, 2, 8, 6.5], [-3, -3, 20, 20], [5, 5, 5.2, 5.1], [40, 40, 50, 50])
at = np.array([0, 1, 1, 0, 1], np.int64)
for mode in ("avg",): # its largest is another one than the specification has, it says itself
    for way in ("half_pixel", "output_half_pixel"):
        for ratio, scale in ((0, 1.0), (2, 0.5)):
            node = n("RoiAlign", ["a", "r", "i"], ["y"], mode=mode, coordinate_transformation_mode=way, sampling_ratio=ratio, spatial_scale=scale, output_height=2, output_width=3)
            case(f"RoiAlign_{mode}_{way}_{ratio}", [node], [("a", image), ("r", rois), ("i", at)], [], T.FLOAT)
case("RoiAlign_10", [n("RoiAlign", ["a", "r", "i"], ["y"], output_height=2, output_width=3)], [("a", image), ("r", rois), ("i", at)], [], T.FLOAT, 10)
for kind in (np.float32, np.int64, bool):
    for first in (0, 1):
        node = n("ReverseSequence", ["a", "l"], ["y"], time_axis=first, batch_axis=1 - first)
        lengths = np.array([2, 0, 1] if first else [2, 1, 0, 2], np.int64)
        case(f"ReverseSequence_{kind.__name__}_{first}", [node], [("a", (np.arange(24) % 5).reshape(3, 4, 2).astype(kind)), ("l", lengths)], [], nh.from_array(np.zeros(1, kind)).data_type)
# Bounds that are computed of a long input, so that no plan can have them built in.
long = np.arange(100, dtype=np.float32) - 7
bounds = [n("ReduceMin", ["a"], ["least"], keepdims=1), n("Cast", ["least"], ["minus_7"], to=T.INT64), n("Neg", ["minus_7"], ["plus_7"])]
for name, start, end, step in (("ahead", "plus_7", "far", 1), ("behind", "minus_7", "far", 1), ("steps", "plus_7", "minus_7", 3), ("back", "minus_7", "near", -2), ("none", "minus_7", "plus_7", 1)):
    stored = [("far", np.array([2**62])), ("near", np.array([-(2**62)])), ("axes", np.array([0])), ("step", np.array([step]))]
    case(f"Slice_computed_{name}", [*bounds, n("Slice", ["a", start, end, "axes", "step"], ["y"])], [("a", long)], stored, T.FLOAT, 17)
for v in (8,12,13):
    for ax in (1,2):
        for op in ('Softmax','LogSoftmax','Hardmax'):
            case(f'{op}_{v}_{ax}',[h.make_node(op,['a'],['y'],axis=ax)],[('a',rng.normal(size=(2,3,4,5)).astype(np.float32))],[],T.FLOAT,v)
case('HardSigmoid_default',[h.make_node('HardSigmoid',['a'],['y'])],[('a',XF)],[],T.FLOAT)
case('BatchNorm_f16',[h.make_node('BatchNormalization',['a','s','b','m','v'],['y'])],[('a',rng.normal(size=(1,2,3,3)).astype(np.float16))],[(n,np.abs(rng.normal(size=2)).astype(np.float16)) for n in 'sbmv'],T.FLOAT16)
print(len(list(out.iterdir())), "cases,", len(skipped), "that onnxruntime does not run")
